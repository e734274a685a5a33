// Package controlplane runs a real Kubernetes control plane on this machine for
// tests and demos: etcd and kube-apiserver through controller-runtime's envtest,
// and a kube-controller-manager that collects garbage, empties deleted
// namespaces, makes service accounts and aggregates cluster roles. There are no
// kubelets, so Nodes and Pods are only what a test writes.
//
// Whatever this package starts ends with the process that started it, also when
// that is killed: see Process.
package controlplane
