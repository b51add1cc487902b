package connect

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// nfcData lists what canonical normalization knows of Unicode, in hexadecimal. Lines are
// "d CODE FIRST [SECOND]" for a decomposition by one step, "x CODE FIRST SECOND"
// for one that is never composed again, and "c FROM TO CLASS" for a range of
// one combining class. Hangul is computed.
//
//go:embed nfc.txt
var nfcData string

// normalizer knows Unicode normalization form C (UAX 15), in which the names of
// agents must be.
type normalizer struct {
	decompositions map[rune][2]rune // a second of 0 is none
	compositions   map[[2]rune]rune
	classes        map[rune]uint8 // canonical combining classes other than 0
}

// newNormalizer gives the one that all instances share: nothing changes it.
var newNormalizer = sync.OnceValues(readNormalizer)

func readNormalizer() (*normalizer, error) {
	n := &normalizer{
		decompositions: make(map[rune][2]rune),
		compositions:   make(map[[2]rune]rune),
		classes:        make(map[rune]uint8),
	}
	for line := range strings.Lines(nfcData) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := n.learn(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("read the normalization table: %q: %w", line, err)
		}
	}
	return n, nil
}

func (n *normalizer) learn(fields []string) error {
	var v [3]rune
	for i, f := range fields[1:] {
		x, err := strconv.ParseUint(f, 16, 32)
		if err != nil {
			return err
		}
		v[i] = rune(x)
	}
	pair := [2]rune{v[1], v[2]}
	switch fields[0] {
	case "c":
		for r := v[0]; r <= v[1]; r++ {
			n.classes[r] = uint8(v[2])
		}
	case "d":
		if pair[1] != 0 {
			n.compositions[pair] = v[0]
		}
		n.decompositions[v[0]] = pair
	case "x":
		n.decompositions[v[0]] = pair
	default:
		return fmt.Errorf("no kind %q", fields[0])
	}
	return nil
}

// is says whether s is in form C.
func (n *normalizer) is(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return n.composed(s) == s
		}
	}
	return true
}

// composed returns form C of s.
func (n *normalizer) composed(s string) string {
	var runes []rune
	for _, r := range s {
		runes = n.decompose(runes, r)
	}
	n.arrange(runes)
	return string(n.compose(runes))
}

// The Hangul syllables, by arithmetic (Unicode 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7

	countL, countV, countT = 19, 21, 28
)

func (n *normalizer) decompose(to []rune, r rune) []rune {
	if s := r - hangulS; s >= 0 && s < countL*countV*countT {
		to = append(to, hangulL+s/(countV*countT), hangulV+s%(countV*countT)/countT)
		if t := s % countT; t != 0 {
			to = append(to, hangulT+t)
		}
		return to
	}
	pair, ok := n.decompositions[r]
	if !ok {
		return append(to, r)
	}
	to = n.decompose(to, pair[0])
	if pair[1] != 0 {
		to = n.decompose(to, pair[1])
	}
	return to
}

// arrange sorts each run of combining marks by class.
func (n *normalizer) arrange(runes []rune) {
	for i := 0; i < len(runes); i++ {
		j := i
		for j < len(runes) && n.classes[runes[j]] != 0 {
			j++
		}
		slices.SortStableFunc(runes[i:j], func(a, b rune) int { return int(n.classes[a]) - int(n.classes[b]) })
		i = j
	}
}

func (n *normalizer) compose(runes []rune) []rune {
	out := runes[:0]
	starter := -1 // index in out of the last starter
	last := uint8(0)
	for _, r := range runes {
		class := n.classes[r]
		adjacent := starter == len(out)-1
		if starter >= 0 && (adjacent || last != 0 && last < class) {
			if both, ok := n.pair(out[starter], r); ok {
				out[starter] = both
				continue
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, r)
	}
	return out
}

func (n *normalizer) pair(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; l >= 0 && l < countL && v >= 0 && v < countV {
		return hangulS + (l*countV+v)*countT, true
	}
	if s, t := a-hangulS, b-hangulT; s >= 0 && s < countL*countV*countT && s%countT == 0 && t > 0 && t < countT {
		return a + t, true
	}
	both, ok := n.compositions[[2]rune{a, b}]
	return both, ok
}
