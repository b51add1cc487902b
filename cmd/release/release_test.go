package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBill makes the bill of a program with two modules, of which one is replaced.
func TestBill(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{
		{Path: "github.com/spf13/cobra", Version: "v1.10.2", Sum: "h1:abc="},
		{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v2.0.0+incompatible"}},
	}}
	text, err := encodeBill(info, "1.2.3", platform{"linux", "amd64"}, sha256.Sum256([]byte("program")))
	if err != nil {
		t.Fatal(err)
	}
	again, err := encodeBill(info, "1.2.3", platform{"linux", "amd64"}, sha256.Sum256([]byte("program")))
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("two bills of the same program differ: %v", err)
	}
	var b bill
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	// Source: CycloneDX 1.6, serialNumber; RFC 9562, section 5.8.
	if serial := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`); !serial.MatchString(b.Serial) {
		t.Errorf("the serial number is %s", b.Serial)
	}
	if b.Format != "CycloneDX" || b.Spec != "1.6" || b.Metadata.Component.Version != "1.2.3" {
		t.Errorf("got %+v", b)
	}
	var refs []string
	for _, c := range b.Components {
		refs = append(refs, c.Ref)
	}
	want := []string{"pkg:golang/example.com/new@v2.0.0%2Bincompatible", "pkg:golang/github.com/spf13/cobra@v1.10.2", "pkg:golang/std@1.26.8"}
	if !slices.Equal(refs, want) || !slices.Equal(b.Depends[0].On, want) {
		t.Errorf("the components are %q and the dependencies %q, want %q", refs, b.Depends[0].On, want)
	}
}

// TestBillOfProgram reads a program that there is: this one, which says that it was
// made by Go.
func TestBillOfProgram(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := billOf(program, "1.2.3", platform{"linux", "amd64"})
	if err != nil || !strings.Contains(string(text), "pkg:golang/std@"+strings.TrimPrefix(runtime.Version(), "go")) {
		t.Errorf("got %s, %v", text, err)
	}
	if _, err := billOf(filepath.Join("..", "..", "go.mod"), "1.2.3", platform{"linux", "amd64"}); err == nil {
		t.Error("a file that is no program has a bill")
	}
}

func TestPURL(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"github.com/spf13/cobra": "pkg:golang/github.com/spf13/cobra@v1.0.0%2Bincompatible",
		"example.com/a b":        "pkg:golang/example.com/a%20b@v1.0.0%2Bincompatible",
	} {
		if got := purl(path, "v1.0.0+incompatible"); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// TestArchives sees that both kinds hold the files with their modes and the one
// time, and that they come out the same twice.
func TestArchives(t *testing.T) {
	t.Parallel()
	r := &release{date: time.Unix(1_800_000_000, 0).UTC()}
	files := []file{{"connectroster", 0o755, []byte("program")}, {"man/connectroster.1", 0o644, []byte("page")}}
	packed, err := r.tarball("folder", files)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		text, err1 := io.ReadAll(in)
		if err != nil || err1 != nil || !h.ModTime.Equal(r.date) {
			t.Fatalf("%v, %v, %v", err, err1, h)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name+" "+string(text))
	}
	want := "-rwxr-xr-x folder/connectroster program, -rw-r--r-- folder/man/connectroster.1 page"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("tar: got %s, want %s", text, want)
	}
	zipped, err := r.zip("folder", files)
	if err != nil {
		t.Fatal(err)
	}
	in, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, f := range in.File {
		open, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(open)
		if err := errors.Join(err, open.Close()); err != nil || !f.Modified.Equal(r.date) {
			t.Fatalf("%v, %v", err, f.Modified)
		}
		got = append(got, f.Mode().String()+" "+f.Name+" "+string(text))
	}
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("zip: got %s, want %s", text, want)
	}
	if again, err := r.tarball("folder", files); err != nil || !bytes.Equal(packed, again) {
		t.Errorf("two archives of the same files differ: %v", err)
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	r := &release{out: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.out, "a.txt"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.checksums(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
	// Source: FIPS 180-2, appendix B.1.
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.txt\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestRefusals sees that nothing is built of what makes no sense.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		version, only, epoch, want string
	}{
		"no version":          {"", "", "1", "-version"},
		"a version of a path": {"../1", "", "1", "-version"},
		"no time":             {"1.0.0", "", "", "SOURCE_DATE_EPOCH"},
		"no such platform":    {"1.0.0", "plan9/386", "1", "want one of"},
		"a folder in use":     {"1.0.0", "linux/amd64", "1", "is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", test.epoch)
			r := &release{version: test.version, out: "."}
			if err := r.run(t.Context(), test.only); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestPagesOfArchives sees that an archive has what its own pages and its program name.
func TestPagesOfArchives(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	r := &release{}
	if err := r.papers(); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, f := range r.pages {
		have[f.name] = string(f.text)
	}
	for _, name := range []string{"LICENSE", "docs/configuration.md", "docs/okta-by-hand.md", "deploy/systemd/connectroster.service", "deploy/kubernetes/connectroster.yaml"} {
		if have[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([a-zA-Z][^):#]*)`).FindAllStringSubmatch(have["README.md"], -1) {
		within := slices.ContainsFunc(r.pages, func(f file) bool { return f.name == link[1] || strings.HasPrefix(f.name, link[1]+"/") })
		if !within {
			t.Errorf("README.md leads to %s, which is not there", link[1])
		}
	}
}
