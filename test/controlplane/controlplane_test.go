package controlplane

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var noCRDs = []string{}

func TestControlPlane(t *testing.T) {
	auditLog := filepath.Join(t.TempDir(), "audit.log")
	plane := start(t, Options{CRDs: noCRDs, AuditLog: auditLog, APIServerArgs: []string{"--max-requests-inflight=123"}})
	clients := kubernetes.NewForConfigOrDie(plane.Config)

	t.Run("empties a deleted namespace", func(t *testing.T) {
		createNamespace(t, clients, "shop")
		_, err := clients.CoreV1().ConfigMaps("shop").Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}}, metav1.CreateOptions{})
		assert.NilError(t, err)
		assert.NilError(t, clients.CoreV1().Namespaces().Delete(t.Context(), "shop", metav1.DeleteOptions{}))
		eventuallyGone(t, func() error {
			_, err := clients.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
			return err
		})
	})

	t.Run("collects what lost its owner", func(t *testing.T) {
		owner, err := clients.CoreV1().ConfigMaps("default").Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
		assert.NilError(t, err)
		_, err = clients.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name:            "owned",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}},
		}}, metav1.CreateOptions{})
		assert.NilError(t, err)
		assert.NilError(t, clients.CoreV1().ConfigMaps("default").Delete(t.Context(), "owner", metav1.DeleteOptions{}))
		eventuallyGone(t, func() error {
			_, err := clients.CoreV1().ConfigMaps("default").Get(t.Context(), "owned", metav1.GetOptions{})
			return err
		})
	})

	t.Run("knows users by their kubeconfig and grants them nothing", func(t *testing.T) {
		user, err := plane.AddUser("ada", "platform")
		assert.NilError(t, err)
		assert.Equal(t, user.Config.QPS, float32(-1))
		config, err := clientcmd.BuildConfigFromFlags("", user.KubeconfigPath)
		assert.NilError(t, err)
		_, err = kubernetes.NewForConfigOrDie(config).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		assert.Assert(t, apierrors.IsForbidden(err), "got %v", err)
		assert.ErrorContains(t, err, `User "ada" cannot list resource "nodes"`)
	})

	t.Run("passes arguments to the API server", func(t *testing.T) {
		flags, err := clients.CoreV1().RESTClient().Get().AbsPath("/flagz").DoRaw(t.Context())
		assert.NilError(t, err)
		// The page varies its delimiters, so that nobody parses it.
		assert.Assert(t, regexp.MustCompile(`max-requests-inflight\W+123\b`).Match(flags), "got %s", flags)
	})

	t.Run("audits every request", func(t *testing.T) {
		createNamespace(t, clients, "audited")
		content, err := os.ReadFile(auditLog)
		assert.NilError(t, err)
		for line := range strings.Lines(string(content)) {
			var event struct{ Verb, RequestURI string }
			assert.NilError(t, json.Unmarshal([]byte(line), &event))
			if event.Verb == "create" && event.RequestURI == "/api/v1/namespaces" {
				return
			}
		}
		t.Error("the creation of a namespace is not in the audit log")
	})
}

func TestStartInstallsCRDs(t *testing.T) {
	plane := start(t, Options{CRDs: []string{"testdata/crd.yaml"}, WithoutControllerManager: true})
	config := rest.CopyConfig(plane.Config)
	list, err := kubernetes.NewForConfigOrDie(config).CoreV1().RESTClient().Get().
		AbsPath("/apis/test.eni-operator.dev/v1/samples").DoRaw(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(list), `"kind":"SampleList"`), "got %s", list)
}

func TestStartFailsWithTheReason(t *testing.T) {
	_, err := Start(t.Context(), Options{CRDs: noCRDs, APIServerArgs: []string{"--no-such-flag=1"}})
	assert.ErrorContains(t, err, "unknown flag: --no-such-flag")
	assertNothingLeft(t)
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Options{CRDs: noCRDs})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assertNothingLeft(t)
}

func TestStopTwice(t *testing.T) {
	plane := start(t, Options{CRDs: noCRDs})
	assert.NilError(t, plane.Stop())
	assertNothingLeft(t)
	assert.NilError(t, plane.Stop())
}

func TestBinary(t *testing.T) {
	repository := t.TempDir()
	writeFile(t, filepath.Join(repository, "go.mod"), "module github.com/eni-operator/eni-operator\n")
	tool := filepath.Join(repository, "hack", "tool")
	writeFile(t, filepath.Join(tool, "go.mod"), "module github.com/eni-operator/eni-operator/hack/tool\n")
	assets := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	t.Chdir(tool)

	_, err := Binary("etcd")
	assert.Error(t, err, "etcd is missing: run `make controlplane`")

	built := filepath.Join(repository, "build", "controlplane", "etcd")
	writeFile(t, built, "")
	path, err := Binary("etcd")
	assert.NilError(t, err)
	assert.Equal(t, path, built)

	preferred := filepath.Join(assets, "etcd")
	writeFile(t, preferred, "")
	path, err = Binary("etcd")
	assert.NilError(t, err)
	assert.Equal(t, path, preferred)
}

// start starts a control plane for one test and checks that it ends with it.
func start(t *testing.T, options Options) *ControlPlane {
	t.Helper()
	plane, err := Start(t.Context(), options)
	assert.NilError(t, err)
	t.Cleanup(func() {
		assert.Check(t, plane.Stop())
		assertNothingLeft(t)
	})
	return plane
}

func createNamespace(t *testing.T, clients kubernetes.Interface, name string) {
	t.Helper()
	_, err := clients.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	assert.NilError(t, err)
}

func eventuallyGone(t *testing.T, get func() error) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		err := get()
		if apierrors.IsNotFound(err) {
			return poll.Success()
		}
		return poll.Continue("it is still there (%v)", err)
	}, poll.WithTimeout(time.Minute))
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
}
