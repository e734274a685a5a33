/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/shipped"
)

const (
	region = "us-east-1"
	zone   = "us-east-1a"
)

// patience is how long anything is waited for. It is much longer than anything takes,
// since the machine may be busy, and says nothing about speed.
const patience = 90 * time.Second

// glance is the pause between two looks.
const glance = 50 * time.Millisecond

// world is a control plane whose API server asks the operator's webhooks, and an EC2.
type world struct {
	client.Client
	plane    *controlplane.ControlPlane
	hooks    *envtest.WebhookInstallOptions
	cloud    *awsec2.Client
	endpoint *httptest.Server
	subnet   string
	logFile  string

	// stop ends the operator.
	stop func()
}

// startWorld starts everything. What was started is ended by end, also after an error.
func startWorld(folder string) (*world, error) {
	w := &world{logFile: filepath.Join(folder, "operator.log"), stop: func() {}}
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	w.endpoint = httptest.NewServer(server)
	w.cloud = awsec2.New(awsec2.Options{
		Region: region, BaseEndpoint: aws.String(w.endpoint.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", ""),
	})
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": w.endpoint.URL, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": "AKIAOPERATOR", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(key, value); err != nil {
			return w, err
		}
	}
	var err error
	if w.plane, err = controlplane.Start(context.Background(), controlplane.Options{}); err != nil {
		return w, err
	}
	scheme, err := setup.Scheme()
	if err != nil {
		return w, err
	}
	if w.Client, err = client.New(quiet(w.plane.Config), client.Options{Scheme: scheme}); err != nil {
		return w, err
	}
	if err := shipped.Grant(context.Background(), w, "config/self-managed"); err != nil {
		return w, err
	}
	if err := logTo(w.logFile); err != nil {
		return w, err
	}
	webhooks, err := shipped.Webhooks("config/self-managed")
	if err != nil {
		return w, err
	}
	w.hooks = &envtest.WebhookInstallOptions{
		ValidatingWebhooks: []*admissionregistrationv1.ValidatingWebhookConfiguration{webhooks}, LocalServingHost: "127.0.0.1", MaxTime: patience,
	}
	if err := w.hooks.Install(w.plane.Config); err != nil {
		return w, err
	}
	if err := w.startOperator(); err != nil {
		return w, err
	}
	err = w.network()
	return w, err
}

// quiet leaves out the warnings that nobody looks at.
func quiet(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	return config
}

func logTo(path string) error {
	o, err := options.Parse(flags(), nil)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return setup.Logging(file, o)
}

// flags are the operator's: as users have them, but that nothing waits longer than it
// has to.
func flags() []string {
	return []string{
		"--cluster-name=admission", "--enable-webhooks", "--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--log-format=console", "--visibility-window=300ms", "--retry-base-delay=200ms", "--retry-max-delay=10s", "--audit-interval=1s",
		"--gc-interval=1s", "--batch-window=5ms", "--network-ttl=200ms", "--cooldown=200ms",
	}
}

// startOperator starts a replica that serves the webhooks, and returns when it does. It has
// the rights that users grant it.
func (w *world) startOperator() error {
	o, err := options.Parse(append(flags(), "--webhook-host="+w.hooks.LocalServingHost,
		"--webhook-port="+strconv.Itoa(w.hooks.LocalServingPort), "--webhook-cert-path="+w.hooks.LocalServingCertDir), nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	api, err := ec2.NewClient(ctx, ec2.Limits{Default: ec2.Limit{Bucket: 1000, PerSecond: 1000}})
	if err != nil {
		cancel()
		return err
	}
	mgr, err := setup.New(ctx, shipped.AsOperator(w.plane.Config), api, nil, o)
	if err != nil {
		cancel()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		err := <-ended
		ended <- err
	})
	return await("the webhooks are served", func() error {
		select {
		case err := <-ended:
			ended <- err
			return errors.Join(errors.New("the operator ended"), err)
		default:
			return mgr.GetWebhookServer().StartedChecker()(nil)
		}
	})
}

// unplug has the API server call where nobody listens, as while every replica is down,
// until the function that it returns plugs the webhooks in again.
func (w *world) unplug() (plug func() error, err error) {
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	here := fmt.Sprintf("https://127.0.0.1:%d/", w.hooks.LocalServingPort)
	nowhere := "https://" + unused.Addr().String() + "/"
	if err := unused.Close(); err != nil {
		return nil, err
	}
	probe := create("ENIClaim", "probe", `{spec: {nodeName: alpha}}`)
	if err := w.redirect(here, nowhere); err != nil {
		return nil, err
	}
	reached := func() (bool, error) {
		_, refused, err := w.try(context.Background(), probe)
		return refused == nil || !strings.Contains(refused.Error(), "failed calling webhook"), err
	}
	plug = func() error {
		err := w.redirect(nowhere, here)
		return errors.Join(err, await("the webhooks are called again", func() error {
			called, err := reached()
			if !called {
				return errors.New("they are not")
			}
			return err
		}))
	}
	return plug, await("the webhooks are not reached", func() error {
		called, err := reached()
		if called {
			return errors.New("they are")
		}
		return err
	})
}

// redirect changes where the API server calls the webhooks.
func (w *world) redirect(from, to string) error {
	list := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	if err := w.List(context.Background(), list); err != nil {
		return err
	}
	for i := range list.Items {
		for _, hook := range list.Items[i].Webhooks {
			*hook.ClientConfig.URL = strings.Replace(*hook.ClientConfig.URL, from, to, 1)
		}
		if err := w.Update(context.Background(), &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) end() {
	w.stop()
	if w.hooks != nil {
		_ = w.hooks.Cleanup()
	}
	if w.plane != nil {
		_ = w.plane.Stop()
	}
	w.endpoint.Close()
}

// network makes a VPC with one subnet.
func (w *world) network() error {
	ctx := context.Background()
	vpc, err := w.cloud.CreateVpc(ctx, &awsec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		return err
	}
	subnet, err := w.cloud.CreateSubnet(ctx, &awsec2.CreateSubnetInput{
		VpcId: vpc.Vpc.VpcId, AvailabilityZone: aws.String(zone), CidrBlock: aws.String("10.0.0.0/20"),
	})
	if err != nil {
		return err
	}
	w.subnet = aws.ToString(subnet.Subnet.SubnetId)
	return nil
}

// instance launches one.
func (w *world) instance(instanceType string) (string, error) {
	made, err := w.cloud.RunInstances(context.Background(), &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceType(instanceType), SubnetId: &w.subnet,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(made.Instances[0].InstanceId), nil
}

// node makes an instance and its Node, with one label besides the instance type.
func (w *world) node(name, instanceType, label, value string) error {
	id, err := w.instance(instanceType)
	if err != nil {
		return err
	}
	return w.Create(context.Background(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelInstanceTypeStable: instanceType, label: value}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + id},
	})
}

// await looks until there is nothing wrong any more.
func await(what string, look func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := look()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w", what, err)
		}
		time.Sleep(glance)
	}
}

func awaiting(t *testing.T, what string, look func() error) {
	t.Helper()
	if err := await(what, look); err != nil {
		t.Fatal(err)
	}
}

// ready is an error while the object's condition Ready is not True.
func (w *world) ready(object client.Object) error {
	if err := w.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	var conditions []metav1.Condition
	switch object := object.(type) {
	case *v1alpha1.ENIPolicy:
		conditions = object.Status.Conditions
	case *v1alpha1.ENIPool:
		conditions = object.Status.Conditions
	case *v1alpha1.ElasticNetworkInterface:
		conditions = object.Status.Conditions
	case *v1alpha1.ENIClaim:
		conditions = object.Status.Conditions
	}
	if condition := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); condition == nil || condition.Status != metav1.ConditionTrue {
		return fmt.Errorf("%s is not ready: %+v", object.GetName(), condition)
	}
	return nil
}

// warnings gather what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeader is called for each warning.
func (w *warnings) HandleWarningHeader(code int, _, text string) {
	if code != 299 { // https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
		text = strconv.Itoa(code) + " " + text
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// hearing returns a client of somebody, and the warnings that it is given.
func (w *world) hearing(somebody *rest.Config) (client.Client, *warnings, error) {
	heard := &warnings{}
	config := rest.CopyConfig(somebody)
	config.WarningHandler = heard
	caller, err := client.New(config, client.Options{Scheme: w.Scheme(), Mapper: w.RESTMapper()})
	return caller, heard, err
}

// said is what was warned of, in one text.
func (w *warnings) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.text, "\n")
}
