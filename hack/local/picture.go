package main

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// picture is what Kubernetes shows at one moment.
type picture struct {
	nodes    []corev1.Node
	policies []v1alpha1.ENIPolicy
	pools    []v1alpha1.ENIPool
	enis     []v1alpha1.ElasticNetworkInterface
	claims   []v1alpha1.ENIClaim
}

// look reads all there is. Lists come in the order of names.
func (c *cluster) look(ctx context.Context) (picture, error) {
	var (
		nodes    corev1.NodeList
		policies v1alpha1.ENIPolicyList
		pools    v1alpha1.ENIPoolList
		enis     v1alpha1.ElasticNetworkInterfaceList
		claims   v1alpha1.ENIClaimList
	)
	for _, list := range []client.ObjectList{&nodes, &policies, &pools, &enis, &claims} {
		if err := c.List(ctx, list); err != nil {
			return picture{}, err
		}
	}
	return picture{
		nodes: nodes.Items, policies: policies.Items, pools: pools.Items, enis: enis.Items, claims: claims.Items,
	}, nil
}

// on returns what belongs to one node.
func (p picture) on(node string) picture {
	return picture{
		nodes:  keep(p.nodes, func(n *corev1.Node) bool { return n.Name == node }),
		pools:  keep(p.pools, func(pool *v1alpha1.ENIPool) bool { return pool.Spec.NodeName == node }),
		enis:   keep(p.enis, func(eni *v1alpha1.ElasticNetworkInterface) bool { return eni.Spec.NodeName == node }),
		claims: keep(p.claims, func(claim *v1alpha1.ENIClaim) bool { return claim.Spec.NodeName == node }),
	}
}

// nodeNames are the nodes that exist, and those that something still names.
func (p picture) nodeNames() []string {
	var names []string
	for i := range p.nodes {
		names = append(names, p.nodes[i].Name)
	}
	for i := range p.pools {
		names = append(names, p.pools[i].Spec.NodeName)
	}
	for i := range p.enis {
		names = append(names, p.enis[i].Spec.NodeName)
	}
	for i := range p.claims {
		names = append(names, p.claims[i].Spec.NodeName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func keep[T any](all []T, wanted func(*T) bool) []T {
	var kept []T
	for i := range all {
		if wanted(&all[i]) {
			kept = append(kept, all[i])
		}
	}
	return kept
}
