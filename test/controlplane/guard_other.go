//go:build !linux

package controlplane

import "syscall"

// guard is weaker here: only Linux can tie a child's life to its parent's.
func guard() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func guardAvailable() bool { return false }
