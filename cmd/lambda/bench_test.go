package main

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// released builds the program as it is released, but for this machine.
var released = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(suiteFolder), "released")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// BenchmarkStart starts the released program and takes the time until it first asks
// for an event, which is what Lambda waits for. It wants a p50 of at most 15 ms and
// 40 MB of memory. Run it with -benchtime 100x.
func BenchmarkStart(b *testing.B) {
	path, err := released()
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(b, setup{})
	var times, busy []time.Duration
	memory := 0.0
	for b.Loop() {
		f := w.function("work")
		f.program = path
		began := time.Now()
		p := f.start()
		<-p.next
		times = append(times, time.Since(began))
		memory = max(memory, resident(b, p.cmd.Process.Pid))
		f.kill()
		busy = append(busy, p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime())
	}
	slices.Sort(times)
	slices.Sort(busy)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(busy[len(busy)/2].Microseconds())/1000, "p50-cpu-ms")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*9/10].Microseconds())/1000, "p90-ms")
	b.ReportMetric(memory, "RSS-MB")
}

// TestSize builds the program as start.sh does, by the very line of it, and wants at
// most 20 MB, 7 MB when zipped: Lambda loads all of it before the first event.
func TestSize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program for arm64")
	}
	root := filepath.Join("..", "..")
	script, err := os.ReadFile(filepath.Join(root, "start.sh"))
	if err != nil {
		t.Fatal(err)
	}
	const to = "bin/lambda/bootstrap"
	var line string
	for text := range strings.Lines(string(script)) {
		if strings.Contains(text, "go build") && strings.Contains(text, "-o "+to) {
			line = text
		}
	}
	if !strings.Contains(line, "GOARCH=arm64") {
		t.Fatalf("start.sh builds the functions by %q", line)
	}
	path := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("sh", "-c", strings.Replace(line, to, `"$PROGRAM"`, 1))
	cmd.Dir, cmd.Env = root, append(os.Environ(), "PROGRAM="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	plain, packed := sizes(t, path)
	t.Logf("%.2f MB, %.2f MB zipped", plain, packed)
	if plain > 20 || packed > 7 {
		t.Errorf("the program has %.2f MB, %.2f MB zipped; want at most 20 and 7. See operations.go in internal/connect and internal/awsstore for what keeps it small", plain, packed)
	}
}

// BenchmarkColdHook takes the time from the start of the program to the answer to
// its first delivery, with the stand-ins for AWS, whose answers take most of it.
func BenchmarkColdHook(b *testing.B) {
	path, err := released()
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(b, setup{hookOnly: true})
	var times []time.Duration
	memory, n := 0.0, 0
	for b.Loop() {
		n++
		w.hook = w.function("hook")
		w.hook.program = path
		began := time.Now()
		if status := w.post("/hooks/okta", hookSecret, delivery(fmt.Sprintf("00uCold%d", n))); status != http.StatusNoContent {
			b.Fatalf("answered %d", status)
		}
		times = append(times, time.Since(began))
		memory = max(memory, resident(b, w.hook.start().cmd.Process.Pid))
		w.hook.kill()
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(memory, "RSS-MB")
}

// BenchmarkHook takes the own time of a delivery about one person and about ten, in a
// process that has started: the stand-ins for AWS answer at once and keep nothing.
// What is left is from the event that Lambda gives to the answer that it gets,
// three round trips on this machine among it. It wants 5 ms at most. Run it with
// -benchtime 1000x.
func BenchmarkHook(b *testing.B) {
	path, err := released()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			w := newWorld(b, setup{hookOnly: true})
			w.hook.program = path
			for _, warm := range []string{"00uWarm0", "00uWarm1"} {
				if status := w.post("/hooks/okta", hookSecret, delivery(warm)); status != http.StatusNoContent {
					b.Fatalf("answered %d", status)
				}
			}
			w.between.breaks(func(string) int { return http.StatusOK })
			var times []time.Duration
			turn := 0
			for b.Loop() {
				turn++
				var people []string
				for i := range n {
					people = append(people, fmt.Sprintf("00uBench%d-%d", turn, i))
				}
				event := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: "/hooks/okta", Body: delivery(people...), Headers: map[string]string{
					"authorization": hookSecret, "content-type": "application/json",
				}}
				event.RequestContext.Stage, event.RequestContext.HTTP.Method = "$default", http.MethodPost
				began := time.Now()
				answer, err := w.hook.invoke(event)
				times = append(times, time.Since(began))
				if err != nil || !strings.Contains(string(answer), `"statusCode":204`) {
					b.Fatalf("answered %s, %v", answer, err)
				}
			}
			slices.Sort(times)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkSweep has 20,000 people looked at who are all to get agents: everything is
// read, and all of them are asked to be stored as due. It wants less than the 15
// minutes that Lambda gives. Writes are answered at once and kept nowhere: the
// stand-in for AWS is far slower than AWS there. Run it with -benchtime 1x.
func BenchmarkSweep(b *testing.B) {
	const people = 20_000
	path, err := released()
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(b, setup{rate: 2}) // of which a worker has a quarter
	for n := range people {
		w.hire(n)
	}
	w.idle()
	w.between.breaks(func(call string) int {
		if strings.HasPrefix(call, "AmazonSQS.Send") || strings.HasSuffix(call, ".TransactWriteItems") {
			return http.StatusOK
		}
		return 0
	})
	w.sweep.program, w.sweep.timeout = path, 15*time.Minute
	if _, err := w.sweep.invoke(map[string]any{}); err != nil { // with a cold start
		b.Fatal(err)
	}
	w.between.count()
	var memory float64
	for b.Loop() {
		w.must(w.store.SaveNote(b.Context(), "owed", fmt.Sprintf("%q", time.Now().Format(time.RFC3339Nano))))
		w.scheduled(w.sweep)
		memory = max(memory, resident(b, w.sweep.start().cmd.Process.Pid))
	}
	writes := float64(w.between.count()["DynamoDB_20120810.TransactWriteItems"]) / float64(b.N)
	if writes < people/25 {
		b.Errorf("%.0f transactions a sweep cannot hold %d people", writes, people)
	}
	b.ReportMetric(memory, "RSS-MB")
	b.ReportMetric(writes, "transactions/op")
}

// resident gives the memory of a process, in MB of 1,000,000 bytes.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("skipped: there is no /proc to read the memory of a process from: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB * 1024 / 1e6
		}
	}
	b.Fatal("/proc does not tell the memory")
	return 0
}

// sizes gives how large the program is, as it is and zipped, in MB.
func sizes(t testing.TB, path string) (plain, packed float64) {
	t.Helper()
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n counter
	z := zip.NewWriter(&n)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	out, err := z.Create("bootstrap")
	if err == nil {
		_, err = out.Write(program)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return float64(len(program)) / 1e6, float64(n) / 1e6
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
