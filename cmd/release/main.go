// Command release makes the files of a release: an archive for each platform with
// the program, its manual pages and shell completions, a bill of materials, and
// checksums. The same source gives the same bytes.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platforms are those that a release is made for.
var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}}

type platform struct{ system, machine string }

func main() { os.Exit(run()) }

// run makes what the flags say and gives the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var r release
	var only string
	var again bool
	flag.StringVar(&r.version, "version", "", "the version that the program tells, such as 1.2.0")
	flag.StringVar(&r.out, "out", "dist", "the folder to write to; it must be empty or new")
	flag.StringVar(&only, "only", "", "one platform, such as linux/amd64, in place of all")
	flag.BoolVar(&again, "twice", false, "make no release: build one platform twice, in two folders with two caches, and compare the bytes")
	flag.Parse()
	var err error
	if again {
		err = r.twice(ctx, cmp.Or(only, "linux/amd64"))
	} else {
		err = r.run(ctx, only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release: "+err.Error())
		return 1
	}
	return 0
}

// release is one in the making.
type release struct {
	version string
	out     string
	date    time.Time // of all files in archives
	pages   []file    // what comes with each program
}

// file is one file of an archive.
type file struct {
	name string
	mode int64
	text []byte
}

func (r *release) run(ctx context.Context, only string) error {
	if r.version == "" || strings.ContainsAny(r.version, " /\\'\"$") {
		return fmt.Errorf("-version %q: want something like 1.2.0", r.version)
	}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: want the time of the source in seconds since 1970, such as git log -1 --format=%%ct tells: %w", err)
	}
	r.date = time.Unix(seconds, 0).UTC()
	wanted := platforms
	if only != "" {
		one, err := parsePlatform(only)
		if err != nil {
			return err
		}
		wanted = []platform{one}
	}
	if left, err := os.ReadDir(r.out); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty: remove it first", r.out)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if err := r.document(ctx); err != nil {
		return err
	}
	for _, p := range wanted {
		if err := r.make(ctx, p); err != nil {
			return fmt.Errorf("%s/%s: %w", p.system, p.machine, err)
		}
	}
	return r.checksums()
}

func parsePlatform(text string) (platform, error) {
	system, machine, _ := strings.Cut(text, "/")
	p := platform{system, machine}
	if !slices.Contains(platforms, p) {
		return p, fmt.Errorf("-only %q: want one of %v", text, platforms)
	}
	return p, nil
}

// twice builds a program here, and from a copy of the source elsewhere with nothing
// that was built before, and refuses the slightest difference.
func (r *release) twice(ctx context.Context, text string) error {
	p, err := parsePlatform(text)
	if err != nil {
		return err
	}
	r.version = cmp.Or(r.version, "0.0.0")
	dir, err := os.MkdirTemp("", "connectroster-twice-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	source := filepath.Join(dir, "elsewhere", "source")
	if err := copySource(ctx, source); err != nil {
		return fmt.Errorf("copy the source: %w", err)
	}
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	if err := r.build(ctx, p, first); err != nil {
		return err
	}
	if err := r.buildIn(ctx, p, second, source, "GOCACHE="+filepath.Join(dir, "cache")); err != nil {
		return err
	}
	sums := make([][32]byte, 0, 2)
	for _, program := range []string{first, second} {
		text, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		sums = append(sums, sha256.Sum256(text))
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("two builds differ: %x and %x; something of the machine goes into the program", sums[0], sums[1])
	}
	fmt.Printf("%s/%s: two builds are byte-equal, %x\n", p.system, p.machine, sums[0])
	return nil
}

// copySource copies what git knows, as it is in the folder now.
func copySource(ctx context.Context, to string) error {
	list, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and git does not know yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// document makes what all archives hold: manual pages, completions, the licence.
func (r *release) document(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "connectroster-man-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "connectroster")
	if err := command(ctx, "", nil, "go", "build", "-tags", "manpages", "-ldflags", "-X main.release="+r.version, "-o", program, "./cmd/connectroster"); err != nil {
		return err
	}
	man := filepath.Join(dir, "man")
	if err := os.Mkdir(man, 0o755); err != nil {
		return err
	}
	if err := command(ctx, "", nil, program, "man", man); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("there are no manual pages: %w", err)
	}
	for _, p := range pages {
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		r.pages = append(r.pages, file{"man/" + filepath.Base(p), 0o644, text})
	}
	// The completions ask the program itself, so the released one will do.
	for shell, name := range map[string]string{"bash": "connectroster.bash", "zsh": "_connectroster", "fish": "connectroster.fish", "powershell": "connectroster.ps1"} {
		text, err := exec.CommandContext(ctx, program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completion %s: %w", shell, err)
		}
		r.pages = append(r.pages, file{"completions/" + name, 0o644, text})
	}
	if err := r.papers(); err != nil {
		return err
	}
	slices.SortFunc(r.pages, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return nil
}

// papers takes what is there to read. The program names pages of docs, and those name
// files of deploy.
func (r *release) papers() error {
	for _, root := range []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs", "deploy/systemd", "deploy/kubernetes"} {
		if err := r.take(root); err != nil {
			return err
		}
	}
	return nil
}

// take puts a file, or all files of a folder, into the archives.
func (r *release) take(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		r.pages = append(r.pages, file{filepath.ToSlash(name), 0o644, text})
		return err
	})
}

// build makes the program of one platform. Nothing of the machine goes into it:
// neither paths nor the time nor the state of the source.
func (r *release) build(ctx context.Context, p platform, to string) error {
	return r.buildIn(ctx, p, to, "")
}

func (r *release) buildIn(ctx context.Context, p platform, to, dir string, env ...string) error {
	env = append(env, "CGO_ENABLED=0", "GOOS="+p.system, "GOARCH="+p.machine, "GOFLAGS=")
	return command(ctx, dir, env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.release="+r.version, "-o", to, "./cmd/connectroster")
}

// command runs a program in a folder; empty: this one.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// make writes the archive and the bill of materials of one platform.
func (r *release) make(ctx context.Context, p platform) error {
	dir, err := os.MkdirTemp("", "connectroster-build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := "connectroster"
	if p.system == "windows" {
		name += ".exe"
	}
	program := filepath.Join(dir, name)
	if err := r.build(ctx, p, program); err != nil {
		return err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	bill, err := billOf(program, r.version, p)
	if err != nil {
		return fmt.Errorf("bill of materials: %w", err)
	}
	folder := fmt.Sprintf("connectroster_%s_%s_%s", r.version, p.system, p.machine)
	files := append([]file{{name, 0o755, text}, {"sbom.cdx.json", 0o644, bill}}, r.pages...)
	packed, extension := r.tarball, ".tar.gz"
	if p.system == "windows" {
		packed, extension = r.zip, ".zip"
	}
	archive, err := packed(folder, files)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(r.out, folder+extension), archive, 0o644),
		os.WriteFile(filepath.Join(r.out, folder+".cdx.json"), bill, 0o644),
	)
}

func (r *release) tarball(folder string, files []file) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		header := &tar.Header{Name: path.Join(folder, f.name), Mode: f.mode, Size: int64(len(f.text)), ModTime: r.date, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.text); err != nil {
			return nil, err
		}
	}
	err = errors.Join(t.Close(), z.Close())
	return out.Bytes(), err
}

func (r *release) zip(folder string, files []file) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: r.date}
		header.SetMode(os.FileMode(f.mode))
		w, err := z.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// checksums writes SHA256SUMS, as sha256sum --check reads it.
func (r *release) checksums() error {
	made, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, entry := range made {
		f, err := os.Open(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sum.Sum(nil), entry.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), out.Bytes(), 0o644)
}
