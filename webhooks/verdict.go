/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// verdict is what admission has to say about an object.
type verdict struct {
	warnings admission.Warnings
	refusals field.ErrorList
}

func (v *verdict) refuse(refusals ...*field.Error) { v.refusals = append(v.refusals, refusals...) }

func (v *verdict) warn(path *field.Path, format string, arguments ...any) {
	v.warnings = append(v.warnings, path.String()+": "+fmt.Sprintf(format, arguments...))
}

// answer is a verdict as an answer to the API server. A refusal names the fields.
func (v *verdict) answer(kind, name string) (admission.Warnings, error) {
	if len(v.refusals) == 0 {
		return v.warnings, nil
	}
	return v.warnings, apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind(kind).GroupKind(), name, v.refusals)
}

// acceptUnread is the answer of a webhook whose policy on failure is Ignore where what
// the verdict depends on cannot be read: a replica that cannot read is no different from
// one that does not answer, and refuses nothing.
func acceptUnread(unread error) (admission.Warnings, error) {
	return admission.Warnings{fmt.Sprintf("not validated, since the operator could not read what that takes: %v", unread)}, nil
}

// forbidDeletion is the answer to a deletion that is refused.
func forbidDeletion(resource, name, reason string) error {
	return apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource(resource).GroupResource(), name, errors.New(reason))
}

// mayBeDeleted says that nobody asks for an object in use to be kept: it is being
// deleted already, or its annotation lets it go.
func mayBeDeleted(object client.Object) bool {
	return !object.GetDeletionTimestamp().IsZero() || object.GetAnnotations()[v1alpha1.DeleteInUseAnnotation] == "true"
}

// deletionRemedy ends each refusal of a deletion.
const deletionRemedy = "Delete the claims first, or let it go when the last of them is released: " +
	"annotate it with " + v1alpha1.DeleteInUseAnnotation + "=true and delete it again."

// namesShown is how many names a message lists.
const namesShown = 5

// shown lists names, the first few of many.
func shown(names []string) string {
	if len(names) > namesShown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), len(names)-namesShown)
	}
	return strings.Join(names, ", ")
}

func shownClaims(holders []v1alpha1.ClaimReference) string {
	names := make([]string, 0, len(holders))
	for _, holder := range holders {
		names = append(names, holder.Namespace+"/"+holder.Name)
	}
	slices.Sort(names)
	return shown(names)
}

func nodesWord(nodes []string) string {
	if len(nodes) == 1 {
		return "Node " + nodes[0]
	}
	return "Nodes " + shown(nodes)
}

// judgeNode says what is wrong with a Node as a place for an ENI or a claim. Nil
// stands for a Node that is not there.
func (v *verdict) judgeNode(node *corev1.Node, name string) {
	path := field.NewPath("spec", "nodeName")
	if node == nil {
		v.warn(path, "there is no Node %s: nothing happens until there is one", name)
		return
	}
	if _, kind := ec2.ParseProviderID(node.Spec.ProviderID); kind == ec2.ProviderIDOther {
		v.refuse(field.Invalid(path, name, fmt.Sprintf(
			"this Node is no EC2 instance (its spec.providerID is %s), so it can have no ENIs: name a Node that is one", node.Spec.ProviderID)))
	}
}

// instanceOf is the instance that a Node stands for; empty for none.
func instanceOf(node *corev1.Node) string {
	if node == nil {
		return ""
	}
	id, _ := ec2.ParseProviderID(node.Spec.ProviderID)
	return id
}
