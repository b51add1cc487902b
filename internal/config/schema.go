package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// keysOf gives the keys of a struct, in its order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); t.Field(i).IsExported() && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// fieldOf gives the index of the field with a key, or -1.
func fieldOf(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && key != "-" && f.Tag.Get("yaml") == key {
			return i
		}
	}
	return -1
}

// below gives the struct that a field holds, be it in a list or under names,
// and how paths write the step into it.
func below(t reflect.Type) (inner reflect.Type, step string) {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[setter]()) {
		return nil, ""
	}
	switch {
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return t.Elem(), ".<name>"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return t.Elem(), "[]"
	case t.Kind() == reflect.Struct:
		return t, ""
	}
	return nil, ""
}

// eachKey calls f for every key there is, with its path.
func eachKey(t reflect.Type, path string, f func(path string, field reflect.StructField)) {
	for _, key := range keysOf(t) {
		field := t.Field(fieldOf(t, key))
		at := join(path, key)
		f(at, field)
		if inner, step := below(field.Type); inner != nil {
			eachKey(inner, at+step, f)
		}
	}
}

// pathOf gives the path of the only place where a key belongs, or nothing.
func pathOf(key string) string {
	var paths []string
	eachKey(reflect.TypeFor[Config](), "", func(path string, f reflect.StructField) {
		if f.Tag.Get("yaml") == key {
			paths = append(paths, path)
		}
	})
	if len(paths) != 1 {
		return ""
	}
	return paths[0]
}

// knownKeys gives every word that is a key somewhere.
func knownKeys() map[string]bool {
	known := map[string]bool{}
	eachKey(reflect.TypeFor[Config](), "", func(_ string, f reflect.StructField) { known[f.Tag.Get("yaml")] = true })
	return known
}

// applyDefaults gives every field below a struct what its default tag says.
func applyDefaults(target any) {
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		field, f := v.Field(i), v.Type().Field(i)
		text, ok := f.Tag.Lookup("default")
		switch {
		case !f.IsExported():
		case field.Kind() == reflect.Struct:
			applyDefaults(field.Addr().Interface())
		case ok:
			if c := assign(field, text); c.problem != "" {
				panic("config: default of " + f.Name + ": " + c.problem)
			}
		}
	}
}

// assign sets a scalar field, or a list of one.
func assign(field reflect.Value, text string) complaint {
	if s, ok := field.Addr().Interface().(setter); ok {
		return s.set(text)
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Slice:
		field.Set(reflect.ValueOf([]string{text}))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return complaint{"want true or false", ""}
		}
		field.SetBool(text == "true")
	case reflect.Int64:
		d, fault := duration(text)
		if fault.problem != "" {
			return fault
		}
		field.SetInt(int64(d))
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return complaint{"want a whole number", ""}
		}
		field.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != n || n-n != 0 {
			return complaint{"want a number", ""}
		}
		field.SetFloat(n)
	}
	return complaint{}
}

// wanted says in words what a field takes.
func wanted(f reflect.StructField) string {
	if text := f.Tag.Get("type"); text != "" {
		return text
	}
	return kindOf(f.Type)
}

// kindOf names a type as the reference does.
func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Names]():
		return "a list of text"
	case reflect.TypeFor[Size]():
		return "a size such as 6MiB"
	case reflect.TypeFor[WorkLimit]():
		return "a duration such as 30s, or unlimited"
	case reflect.TypeFor[TimeOfDay]():
		return "a time of day such as 02:30"
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 30s, 5m or 2d"
	case reflect.TypeFor[Hierarchy]():
		return "a path, an id or an ARN, or none"
	case reflect.TypeFor[Proficiencies]():
		return "attributes with values with levels from 1 to 5"
	case reflect.TypeFor[Values](), reflect.TypeFor[Value]():
		return "a value, or a list of values"
	case reflect.TypeFor[Mode]():
		return "enforce, follow, initial or ignore"
	case reflect.TypeFor[Authority]():
		return "enforce, follow, initial, ignore or {allowed: [...]}"
	case reflect.TypeFor[Share]():
		return "a share such as 10% or 0.1"
	case reflect.TypeFor[Grace]():
		return "a duration such as 7d, or never"
	case reflect.TypeFor[Level]():
		return "debug, info, warn or error"
	case reflect.TypeFor[Format]():
		return "text or json"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Struct:
		return "keys with values"
	case reflect.Map:
		return "names with " + contents(t) + " below them"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "text"
}

// contents says what stands below the names of a map.
func contents(t reflect.Type) string {
	switch t.Elem().Kind() {
	case reflect.Struct:
		return "keys"
	case reflect.Int:
		return "a whole number"
	case reflect.Map:
		return "names"
	}
	return "a value"
}

// nearest gives the word that a misspelled one most likely meant, or nothing.
func nearest(word string, among []string) string {
	best, least := "", max(1, len(word)/4)+1
	for _, candidate := range among {
		d := distance(plainWord(word), plainWord(candidate))
		if d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// plainWord drops what people vary without noticing.
func plainWord(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}

// distance counts the letters to add, drop, change or swap with a neighbour to
// get from one word to another.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
