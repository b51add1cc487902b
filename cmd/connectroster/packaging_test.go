package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"connectroster/internal/config"
)

// daemonConfig is where all ways to install the daemon have the configuration, and
// stateFolder what it may write to.
const (
	daemonConfig = "/etc/connectroster/connectroster.yaml"
	stateFolder  = "/var/lib/connectroster"
)

// TestSystemdUnit sees that the unit starts a command that there is, with the paths
// that it allows, and that systemd finds no fault in it.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	text := pageText(t, "deploy/systemd/connectroster.service")
	unit := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z]+)=(.*)$`).FindAllStringSubmatch(text, -1) {
		unit[m[1]] = append(unit[m[1]], m[2])
	}
	for key, want := range map[string]string{
		"User": "connectroster", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "CapabilityBoundingSet": "", "UMask": "0077", "StateDirectory": "connectroster",
	} {
		if !slices.Equal(unit[key], []string{want}) {
			t.Errorf("%s is %q, want %q", key, unit[key], want)
		}
	}
	words := strings.Fields(strings.Join(unit["ExecStart"], " "))
	checkCommandLine(t, words[1:])
	if !strings.Contains(pageText(t, "deploy/systemd/connectroster.sysusers"), "u connectroster - ") {
		t.Error("connectroster.sysusers makes no user connectroster")
	}

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here, so systemd's own checks of the unit are left out")
		return
	}
	binary, err := exec.LookPath("connectroster")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "connectroster.service")
	there := strings.NewReplacer(words[0], binary, "User=connectroster", "User=root", "Group=connectroster", "Group=root").Replace(text)
	if err := os.WriteFile(path, []byte(there), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", path}, {"security", "--offline=yes", "--threshold=25", path}} {
		if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil || args[0] == "verify" && strings.Contains(string(out), path) {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// checkCommandLine sees that words are a command with its flags and arguments, and
// that it reads the configuration where it lies.
func checkCommandLine(t *testing.T, words []string) {
	t.Helper()
	cmd, rest, err := command().Find(words)
	if err != nil {
		t.Errorf("%q: %v", words, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%q: %v", words, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil || !cmd.Runnable() || cmd == cmd.Root() {
		t.Errorf("%q is no command: %v", words, err)
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "config" && f.Value.String() != daemonConfig {
			t.Errorf("%q: the configuration is %s, want %s", words, f.Value, daemonConfig)
		}
	})
}

// TestImage sees that the image holds one program that is not root's, and that
// what it is told fits the program and the configuration for containers.
func TestImage(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(pageText(t, "deploy/docker/Dockerfile"), "\\\n", "")
	_, last, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the last stage is not FROM scratch")
	}
	is := map[string][]string{}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		is[word] = append(is[word], rest)
	}
	if !slices.Equal(is["USER"], []string{"65532:65532"}) {
		t.Errorf("USER is %q", is["USER"])
	}
	var words []string
	for _, key := range []string{"ENTRYPOINT", "CMD"} {
		var some []string
		if err := json.Unmarshal([]byte(strings.Join(is[key], "")), &some); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		words = append(words, some...)
	}
	if words[0] != "/usr/local/bin/connectroster" || !strings.Contains(last, "/out/connectroster "+words[0]+"\n") {
		t.Errorf("the program is %s, and it is not copied there", words[0])
	}
	checkCommandLine(t, words[1:])
	cfg := containerConfig(t, pageText(t, "deploy/docker/connectroster.yaml"))
	if want := []string{port(t, cfg.Listen) + " " + port(t, cfg.AdminListen)}; !slices.Equal(is["EXPOSE"], want) {
		t.Errorf("EXPOSE is %q, want %q", is["EXPOSE"], want)
	}
	if !strings.Contains(text, "CGO_ENABLED=0 go build -trimpath") {
		t.Error("the program is not built to be static, or holds paths of whoever built it")
	}

	var compose struct {
		Services map[string]struct {
			ReadOnly bool     `yaml:"read_only"`
			User     string   `yaml:"user"`
			CapDrop  []string `yaml:"cap_drop"`
			Ports    []string `yaml:"ports"`
			Volumes  []string `yaml:"volumes"`
			Secrets  []string `yaml:"secrets"`
			Security []string `yaml:"security_opt"`
		} `yaml:"services"`
		Secrets map[string]any `yaml:"secrets"`
		Volumes map[string]any `yaml:"volumes"`
	}
	page := pageText(t, "deploy/docker/compose.yaml")
	if err := yaml.Unmarshal([]byte(page), &compose); err != nil {
		t.Fatal(err)
	}
	s := compose.Services["connectroster"]
	if !s.ReadOnly || s.User != is["USER"][0] || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.Security, []string{"no-new-privileges:true"}) {
		t.Errorf("the service is not locked up: %+v", s)
	}
	if want := []string{"127.0.0.1:8080:" + port(t, cfg.Listen), "127.0.0.1:9090:" + port(t, cfg.AdminListen)}; !slices.Equal(s.Ports, want) {
		t.Errorf("ports are %q, want %q", s.Ports, want)
	}
	if want := []string{"state:" + stateFolder, "./connectroster.yaml:" + daemonConfig + ":ro"}; !slices.Equal(s.Volumes, want) {
		t.Errorf("volumes are %q, want %q", s.Volumes, want)
	}
	for _, ref := range references(cfg) {
		name := strings.TrimPrefix(ref, "file:/run/secrets/")
		if _, ok := compose.Secrets[name]; !ok || !slices.Contains(s.Secrets, name) {
			t.Errorf("the configuration means %s, and compose.yaml has no such secret", ref)
		}
	}
	for _, m := range regexp.MustCompile(`exec connectroster connectroster (.*)`).FindAllStringSubmatch(page, -1) {
		checkCommandLine(t, strings.Fields(m[1]))
	}
}

// containerConfig reads a configuration for containers.
func containerConfig(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "connectroster.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadWithoutSecrets(path, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(cfg.Store.SQLite) != stateFolder || filepath.Dir(cfg.Socket) != stateFolder {
		t.Errorf("database %s and socket %s are not in %s, and there is no other place to write to", cfg.Store.SQLite, cfg.Socket, stateFolder)
	}
	return cfg
}

func references(cfg *config.Config) []string {
	return append(slices.Clone(cfg.Okta.Hook.Secrets), cfg.Okta.Auth.Token)
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestKubernetes sees that the manifest runs one daemon at most, locked up, with
// the files and ports that its configuration says.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	type named struct {
		Name string `yaml:"name"`
	}
	type object struct {
		Kind     string            `yaml:"kind"`
		Metadata named             `yaml:"metadata"`
		Data     map[string]string `yaml:"data"`
		Spec     struct {
			Replicas int `yaml:"replicas"`
			Strategy struct {
				Type string `yaml:"type"`
			} `yaml:"strategy"`
			AccessModes []string `yaml:"accessModes"`
			Ports       []struct {
				Port       int    `yaml:"port"`
				TargetPort string `yaml:"targetPort"`
			} `yaml:"ports"`
			Template struct {
				Spec struct {
					Account  string         `yaml:"serviceAccountName"`
					Security map[string]any `yaml:"securityContext"`
					Volumes  []struct {
						Name  string `yaml:"name"`
						Claim *struct {
							ClaimName string `yaml:"claimName"`
						} `yaml:"persistentVolumeClaim"`
						Config *named `yaml:"configMap"`
					} `yaml:"volumes"`
					Containers []struct {
						Args  []string `yaml:"args"`
						Ports []struct {
							Name string `yaml:"name"`
							Port int    `yaml:"containerPort"`
						} `yaml:"ports"`
						Liveness  probe          `yaml:"livenessProbe"`
						Readiness probe          `yaml:"readinessProbe"`
						Security  map[string]any `yaml:"securityContext"`
						Mounts    []struct {
							Name string `yaml:"name"`
							Path string `yaml:"mountPath"`
						} `yaml:"volumeMounts"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	page := pageText(t, "deploy/kubernetes/connectroster.yaml")
	all := map[string]object{}
	for _, text := range strings.Split(page, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		all[o.Kind] = o
	}
	for _, kind := range []string{"ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service"} {
		if all[kind].Metadata.Name != "connectroster" {
			t.Fatalf("there is no %s connectroster", kind)
		}
	}
	d := all["Deployment"].Spec
	if d.Replicas != 1 || d.Strategy.Type != "Recreate" || !slices.Equal(all["PersistentVolumeClaim"].Spec.AccessModes, []string{"ReadWriteOnce"}) {
		t.Errorf("two daemons may run at once: %d replicas, strategy %s", d.Replicas, d.Strategy.Type)
	}
	pod := d.Template.Spec
	c := pod.Containers[0]
	if pod.Security["runAsNonRoot"] != true || pod.Security["runAsUser"] != 65532 || pod.Security["fsGroup"] != 65532 ||
		c.Security["readOnlyRootFilesystem"] != true || c.Security["allowPrivilegeEscalation"] != false {
		t.Errorf("the pod is not locked up: %v, %v", pod.Security, c.Security)
	}
	checkCommandLine(t, c.Args)
	cfg := containerConfig(t, all["ConfigMap"].Data["connectroster.yaml"])
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = ":" + strconv.Itoa(p.Port)
	}
	if ports["hooks"] != cfg.Listen || ports["admin"] != cfg.AdminListen || all["Service"].Spec.Ports[0].TargetPort != "hooks" {
		t.Errorf("ports are %v, and the configuration says listen %s and admin_listen %s", ports, cfg.Listen, cfg.AdminListen)
	}
	routes := pageText(t, "internal/app/routes.go")
	for _, p := range []probe{c.Liveness, c.Readiness} {
		if p.Get.Port != "admin" || !strings.Contains(routes, `a.admin.HandleFunc("GET `+p.Get.Path+`"`) {
			t.Errorf("nothing answers the probe %+v", p.Get)
		}
	}
	mounts := map[string]string{}
	for _, m := range c.Mounts {
		mounts[m.Name] = m.Path
	}
	for _, v := range pod.Volumes {
		switch {
		case mounts[v.Name] == "":
			t.Errorf("the volume %s is mounted nowhere", v.Name)
		case v.Claim != nil && (mounts[v.Name] != stateFolder || v.Claim.ClaimName != "connectroster"):
			t.Errorf("the claim %s is mounted at %s", v.Claim.ClaimName, mounts[v.Name])
		case v.Config != nil && mounts[v.Name] != filepath.Dir(daemonConfig):
			t.Errorf("the configuration is mounted at %s", mounts[v.Name])
		}
	}
	for _, ref := range references(cfg) {
		name, ok := strings.CutPrefix(ref, "file:"+mounts["secrets"]+"/")
		if !ok || !strings.Contains(page, "--from-file="+name) {
			t.Errorf("the configuration means %s, and nothing puts it there", ref)
		}
	}
}

type probe struct {
	Get struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}
