package controlplane

import (
	"os/exec"
	"sync"
	"syscall"
)

// guard makes the kernel kill a child when its parent has gone.
func guard() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// guardAvailable tells whether a program can guard itself with setpriv of
// util-linux. Other implementations do not know the option.
var guardAvailable = sync.OnceValue(func() bool {
	return exec.Command("setpriv", "--pdeathsig", "KILL", "true").Run() == nil
})
