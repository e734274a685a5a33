package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// operator is the operator's process.
type operator struct {
	process *controlplane.Process
	health  string // host and port
	metrics string // host and port
}

// startOperator starts the binary as it runs anywhere: a kubeconfig, a certificate for
// its webhooks, and an EC2 endpoint in the SDK's own variables.
func startOperator(path string, c *cluster, endpoint, logFile string) (*operator, error) {
	var err error
	o := &operator{}
	if o.health, err = freeAddress(); err != nil {
		return nil, err
	}
	if o.metrics, err = freeAddress(); err != nil {
		return nil, err
	}
	o.process = &controlplane.Process{
		Path: path,
		Args: append([]string{
			"--kubeconfig=" + c.controlPlane.KubeconfigPath,
			"--cluster-name=" + clusterName,
			"--leader-elect=false",
			"--health-probe-bind-address=" + o.health,
			"--metrics-bind-address=" + o.metrics,
			"--metrics-secure=false",
			"--log-format=console",
		}, c.webhooks.flags()...),
		Env:     operatorEnvironment(endpoint),
		LogFile: logFile,
	}
	return o, o.process.Start()
}

// operatorEnvironment points the operator at our EC2, and away from whatever
// AWS account the user works with.
func operatorEnvironment(endpoint string) []string {
	return append(awsEnvironment(endpoint, operatorKey),
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	)
}

// awsEnvironment holds what the AWS SDKs and the AWS CLI need.
func awsEnvironment(endpoint, accessKey string) []string {
	return []string{
		"AWS_ENDPOINT_URL_EC2=" + endpoint,
		"AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + accessKey,
		"AWS_SECRET_ACCESS_KEY=" + anySecret,
	}
}

// freeAddress finds a port on loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// waitUntilReady asks the operator itself.
func (o *operator) waitUntilReady(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, lookInterval, true, func(ctx context.Context) (bool, error) {
		if err := o.alive(); err != nil {
			return false, err
		}
		last = o.ready(ctx)
		return last == nil, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("the operator did not become ready: %w", last)
	}
	return err
}

// ready returns what /readyz has to say against it, with details: whether it has read EC2.
func (o *operator) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.health+"/readyz?verbose", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return fmt.Errorf("/readyz?verbose: %s: %s", response.Status, strings.TrimSpace(string(body)))
}

// alive fails when the operator has ended by itself.
func (o *operator) alive() error {
	select {
	case <-o.process.Done():
		if err := o.process.Wait(); err != nil {
			return fmt.Errorf("the operator ended: %w", err)
		}
		return errors.New("the operator ended: exit status 0")
	default:
		return nil
	}
}

// stop asks the operator to end, and expects it to do so cleanly.
func (o *operator) stop() error {
	if err := o.process.Stop(); err != nil {
		return err
	}
	if err := o.process.Wait(); err != nil {
		return fmt.Errorf("stopping the operator: %w", err)
	}
	return nil
}

// tail returns the last lines of a file, or why there are none.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "(none)"
	}
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// seconds rounds for people.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.1f s", d.Seconds())
}
