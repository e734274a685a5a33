package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// stay tells people how to look around, and returns when they interrupt, or
// when the operator ends by itself.
func (s *story) stay(ctx context.Context) error {
	env, err := s.writeEnvironment()
	if err != nil {
		return err
	}
	s.screen.line("\n%s", s.guide(env))
	select {
	case <-ctx.Done():
		return nil
	case <-s.operator.process.Done():
		return s.operator.alive()
	}
}

// writeEnvironment writes a file for a shell to read.
func (s *story) writeEnvironment() (string, error) {
	path := filepath.Join(s.folder, "env")
	return path, os.WriteFile(path, []byte(strings.Join(s.exports(), "\n")+"\n"), 0o600)
}

func (s *story) exports() []string {
	variables := append([]string{"KUBECONFIG=" + s.cluster.controlPlane.KubeconfigPath},
		awsEnvironment(s.cloud.endpoint, ownKey)...)
	variables = append(variables, "AWS_DEFAULT_REGION="+region) // for version 1 of the AWS CLI
	if kubectl, err := controlplane.Binary("kubectl"); err == nil {
		variables = append(variables, "PATH="+filepath.Dir(kubectl)+":$PATH")
	}
	for i := range variables {
		variables[i] = "export " + variables[i]
	}
	return variables
}

func (s *story) guide(env string) string {
	first := s.nodes[0]
	return `Everything is up. In another shell:

  . ` + env + `

which is
  ` + strings.Join(s.exports(), "\n  ") + `

Look around, in Kubernetes and in EC2:
  kubectl get eni,enipool,eniclaim -A
  kubectl describe enipool ` + first + `
  aws ec2 describe-network-interfaces --filters Name=tag:` + tagCluster + `,Values=` + clusterName + `
  aws ec2 --endpoint-url ` + s.cloud.endpoint + ` describe-instances
  curl http://` + s.operator.metrics + `/metrics
  make follow-events URL=http://` + s.operator.metrics + `

Change something (the m5.large cannot hold 12 addresses: kubectl warns of it, and its pool says so):
  kubectl -n ` + claimNamespace + ` delete eniclaim web-0
  kubectl patch enipolicy ` + s.policy.Name + ` --type=merge -p '{"spec":{"shared":{"minimumIPs":12}}}'

The operator's log: ` + s.operatorLog() + `
Ctrl-C stops everything and removes its files.`
}
