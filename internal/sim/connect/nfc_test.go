package connect

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var updateNFC = flag.Bool("update-nfc", false, "write nfc.txt anew from golang.org/x/text")

// TestNormalizationTable holds nfc.txt to golang.org/x/text. Another version of
// Unicode only ever adds lines.
func TestNormalizationTable(t *testing.T) {
	version, lines := normalizationTable()
	if *updateNFC {
		text := "# Unicode " + version + ", canonical normalization. Written by: go test -run TestNormalizationTable -update-nfc\n" +
			strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile("nfc.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	first, rest, _ := strings.Cut(strings.TrimSuffix(nfcData, "\n"), "\n")
	ours := strings.Split(rest, "\n")
	if strings.HasPrefix(first, "# Unicode "+version+",") {
		if !slices.Equal(ours, lines) {
			t.Fatal("nfc.txt differs from golang.org/x/text; run this test with -update-nfc")
		}
		return
	}
	for _, line := range ours {
		if !strings.HasPrefix(line, "c ") && !slices.Contains(lines, line) {
			t.Errorf("nfc.txt: %q is unknown to Unicode %s", line, version)
		}
	}
}

func normalizationTable() (version string, lines []string) {
	byNFD := make(map[string]rune)
	var withNFD []rune
	var classes [utf8.MaxRune + 2]uint8
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) || r >= hangulS && r < hangulS+countL*countV*countT {
			continue
		}
		p := norm.NFD.PropertiesString(string(r))
		classes[r] = p.CCC()
		if d := p.Decomposition(); d != nil {
			withNFD = append(withNFD, r)
			if old, ok := byNFD[string(d)]; !ok || !norm.NFC.IsNormalString(string(old)) {
				byNFD[string(d)] = r
			}
		}
	}
	for _, r := range withNFD {
		d := []rune(string(norm.NFD.PropertiesString(string(r)).Decomposition()))
		if len(d) == 1 {
			lines = append(lines, fmt.Sprintf("d %04X %04X", r, d[0]))
			continue
		}
		first := d[0]
		if len(d) > 2 {
			first = byNFD[string(d[:len(d)-1])]
		}
		kind := "x"
		if norm.NFC.String(string(d)) == string(r) {
			kind = "d"
		}
		lines = append(lines, fmt.Sprintf("%s %04X %04X %04X", kind, r, first, d[len(d)-1]))
	}
	for from := 0; from <= utf8.MaxRune; from++ {
		if classes[from] == 0 {
			continue
		}
		to := from
		for classes[to+1] == classes[from] {
			to++
		}
		lines = append(lines, fmt.Sprintf("c %04X %04X %02X", from, to, classes[from]))
		from = to
	}
	return norm.Version, lines
}

func TestNormalizerAgreesWithText(t *testing.T) {
	t.Parallel()
	n, err := newNormalizer()
	if err != nil {
		t.Fatal(err)
	}
	for r := range rune(utf8.MaxRune + 1) {
		for _, s := range []string{string(r), "a" + string(r), string(r) + "\u0323\u0301"} {
			if want := norm.NFC.String(s); utf8.ValidRune(r) && n.composed(s) != want {
				t.Fatalf("form C of %+q is %+q, want %+q", s, n.composed(s), want)
			}
		}
	}
	marks := []rune("aoeAdqsıß가각각\u0300\u0301\u0302\u0304\u0307\u0308\u030a\u0323\u0327\u0328\u0331\u0338\u0344\u0345\u05bc\u05c1\u093c\u0f71\u0f72\u0fb2שक\u1e0b\u1e69\u00e9\u212b\u2126\U0001d157\U0001d165")
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.SampledFrom(marks), 0, 12).Draw(t, "runes"))
		if got, want := n.composed(s), norm.NFC.String(s); got != want {
			t.Fatalf("form C of %+q is %+q, want %+q", s, got, want)
		}
		if got, want := n.is(s), norm.NFC.IsNormalString(s); got != want {
			t.Fatalf("is %+q in form C: %v, want %v", s, got, want)
		}
	})
}
