package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

const (
	clusterName    = "demo"
	claimNamespace = "shop"
)

//go:embed policy.yaml
var policyYAML []byte

// cluster is Kubernetes: a control plane on loopback, and a client of our own
// without a cache.
type cluster struct {
	client.Client
	controlPlane *controlplane.ControlPlane
	webhooks     *webhooks
	uid          string
}

// startCluster starts the control plane with the operator's CRDs and webhooks.
func startCluster(ctx context.Context, logDir string) (*cluster, error) {
	controlPlane, err := controlplane.Start(ctx, controlplane.Options{LogDir: logDir})
	if err != nil {
		return nil, err
	}
	c := &cluster{controlPlane: controlPlane}
	if err := c.connect(ctx); err != nil {
		_ = c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) connect(ctx context.Context) error {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	var err error
	if c.Client, err = client.New(c.controlPlane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	var system corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &system); err != nil {
		return err
	}
	c.uid = string(system.UID)
	c.webhooks, err = installWebhooks(c.controlPlane.Config)
	return err
}

func (c *cluster) stop() error {
	return errors.Join(c.webhooks.stop(), c.controlPlane.Stop())
}

// join registers an instance as its kubelet and the cloud controller would.
func (c *cluster) join(ctx context.Context, instance types.Instance) error {
	node := nodeOf(instance)
	if err := c.Create(ctx, node); err != nil {
		return err
	}
	node.Status = corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: aws.ToString(instance.PrivateIpAddress)}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Demo"}},
	}
	return c.Status().Update(ctx, node)
}

func nodeOf(instance types.Instance) *corev1.Node {
	zone := aws.ToString(instance.Placement.AvailabilityZone)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: aws.ToString(instance.PrivateDnsName),
			Labels: map[string]string{
				"pool":                         "general",
				corev1.LabelTopologyZone:       zone,
				corev1.LabelInstanceTypeStable: string(instance.InstanceType),
			},
		},
		Spec: corev1.NodeSpec{ProviderID: fmt.Sprintf("aws:///%s/%s", zone, aws.ToString(instance.InstanceId))},
	}
}

// apply creates the policy, and the claims in a namespace of theirs.
func (c *cluster) apply(ctx context.Context, policy *v1alpha1.ENIPolicy, claims []v1alpha1.ENIClaim) error {
	if err := c.Create(ctx, policy); err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: claimNamespace}}
	if err := c.Create(ctx, namespace); err != nil {
		return err
	}
	for i := range claims {
		if err := c.Create(ctx, &claims[i]); err != nil {
			return err
		}
	}
	return nil
}

// withdraw deletes all claims and the policy.
func (c *cluster) withdraw(ctx context.Context, policy *v1alpha1.ENIPolicy) error {
	if err := c.DeleteAllOf(ctx, &v1alpha1.ENIClaim{}, client.InNamespace(claimNamespace)); err != nil {
		return err
	}
	return c.Delete(ctx, policy)
}

func (c *cluster) deleteNode(ctx context.Context, name string) error {
	return c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func readPolicy() (*v1alpha1.ENIPolicy, error) {
	policy := &v1alpha1.ENIPolicy{}
	return policy, yaml.UnmarshalStrict(policyYAML, policy)
}

// claimsFor asks for a few addresses and ENIs on three nodes: little on the
// first two, and on the last more than its pool is made with.
func claimsFor(nodes []string) []v1alpha1.ENIClaim {
	return []v1alpha1.ENIClaim{
		claim("web-0", nodes[0], v1alpha1.ModeShared),
		claim("web-1", nodes[1], v1alpha1.ModeShared),
		claim("router-0", nodes[1], v1alpha1.ModeExclusive),
		claim("batch-0", nodes[2], v1alpha1.ModeShared),
		claim("batch-1", nodes[2], v1alpha1.ModeShared),
		claim("batch-2", nodes[2], v1alpha1.ModeShared),
		claim("batch-3", nodes[2], v1alpha1.ModeShared),
		claim("batch-4", nodes[2], v1alpha1.ModeShared),
		claim("firewall-0", nodes[2], v1alpha1.ModeExclusive),
		claim("firewall-1", nodes[2], v1alpha1.ModeExclusive),
	}
}

func claim(name, node string, mode v1alpha1.Mode) v1alpha1.ENIClaim {
	return v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: claimNamespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: mode},
	}
}
