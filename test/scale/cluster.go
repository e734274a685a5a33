/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	testcluster "github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

const (
	clusterName = "bench"
	namespace   = "eni-operator-system"
	// operatorUser is the operator's service account as kustomize names it, so
	// that the API server's fairness treats it as in a cluster.
	operatorUser = "system:serviceaccount:" + namespace + ":eni-operator-controller-manager"
	// maximumIPs is the most that a policy may ask for: the instance type decides.
	maximumIPs = 1024
)

// cluster is Kubernetes: a control plane on loopback, and a client without a
// cache.
type cluster struct {
	client.WithWatch
	plane *controlplane.ControlPlane
	// operator is who the operator is to the API server.
	operator controlplane.User
	uid      string
}

// startCluster starts etcd and kube-apiserver. kube-controller-manager is left
// out: nothing here waits for it, and it would compete for the processors.
func startCluster(ctx context.Context, logDir, auditFile string) (*cluster, error) {
	plane, err := controlplane.Start(ctx, controlplane.Options{
		WithoutControllerManager: true, AuditLog: auditFile, LogDir: logDir,
	})
	if err != nil {
		return nil, err
	}
	c := &cluster{plane: plane}
	if err := c.prepare(ctx); err != nil {
		_ = plane.Stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context) error {
	connected, err := testcluster.Connect(ctx, c.plane)
	if err != nil {
		return err
	}
	c.WithWatch, c.uid = connected.WithWatch, connected.UID
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	if c.operator, err = c.plane.AddUser(operatorUser, "system:serviceaccounts", "system:serviceaccounts:"+namespace); err != nil {
		return err
	}
	return c.authorize(ctx)
}

// authorize gives the operator the roles that it is shipped with, and no more.
func (c *cluster) authorize(ctx context.Context) error {
	manager, election := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	if err := readRole("role.yaml", manager); err != nil {
		return err
	}
	if err := readRole("leader_election_role.yaml", election); err != nil {
		return err
	}
	election.Namespace = namespace
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operatorUser}}
	for _, object := range []client.Object{
		manager, election,
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: manager.Name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: manager.Name},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: election.Name, Namespace: namespace}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: election.Name},
		},
	} {
		if err := c.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

func readRole(file string, into client.Object) error {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(root, "config", "rbac", file))
	if err != nil {
		return err
	}
	return yaml.Unmarshal(content, into)
}

// policyName is the name of the one policy.
const policyName = "fleet"

// createPolicy asks for what one new ENI carries on every node.
func (c *cluster) createPolicy(ctx context.Context, f fleet) error {
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}}
	policy.Spec.MinDeviceIndex = &f.minDeviceIndex
	policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: f.minimumIPs, MaximumIPs: maximumIPs}
	return c.Create(ctx, policy)
}

func (c *cluster) deletePolicy(ctx context.Context) error {
	return c.Delete(ctx, &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}})
}

// leave takes an instance's Node away, as the cloud controller does for one that is
// terminated.
func (c *cluster) leave(ctx context.Context, instance ec2types.Instance) error {
	return c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(instance)}})
}

// join registers an instance as its kubelet and the cloud controller would.
func (c *cluster) join(ctx context.Context, instance ec2types.Instance) error {
	zone := aws.ToString(instance.Placement.AvailabilityZone)
	return c.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeName(instance),
			Labels: map[string]string{
				corev1.LabelTopologyZone:       zone,
				corev1.LabelInstanceTypeStable: string(instance.InstanceType),
			},
		},
		Spec: corev1.NodeSpec{ProviderID: fmt.Sprintf("aws:///%s/%s", zone, aws.ToString(instance.InstanceId))},
	})
}

func nodeName(instance ec2types.Instance) string { return aws.ToString(instance.PrivateDnsName) }
