package configs

import (
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// prefix is that of environment variables: TONGXIANG_HTTP_LISTEN sets http.listen.
const prefix = "TONGXIANG_"

type field struct {
	name string
	typ  reflect.Type
	i    int
}

func fields(t reflect.Type) iter.Seq[field] {
	return func(yield func(field) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); !yield(field{f.Tag.Get("yaml"), f.Type, i}) {
				return
			}
		}
	}
}

// environment overrides single values and lists of text (separated by commas).
// A variable with our prefix that names nothing is a problem; variables of the
// tests (TONGXIANG_TEST_…) are not ours.
func (l *loader) environment(cfg *Config, env []string) {
	known := map[string]reflect.Value{}
	keys := map[string]string{}
	var names []string
	var collect func(v reflect.Value, key string)
	collect = func(v reflect.Value, key string) {
		for f := range fields(v.Type()) {
			k := join(key, f.name)
			if f.typ.Kind() == reflect.Struct {
				collect(v.Field(f.i), k)
				continue
			}
			if f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() != reflect.String {
				continue // channels: too much for a variable
			}
			name := prefix + strings.ToUpper(strings.ReplaceAll(k, ".", "_"))
			known[name], keys[name] = v.Field(f.i), k
			names = append(names, name)
		}
	}
	collect(reflect.ValueOf(cfg).Elem(), "")
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, prefix+"TEST_") || name == prefix+"STREAMS" {
			continue
		}
		v, ok := known[name]
		if !ok {
			what := "unknown variable"
			if n := nearest(name, names); n != "" {
				what += " (did you mean " + n + "?)"
			}
			l.problems = append(l.problems, Problem{Place: "environment", Key: name, What: what})
			continue
		}
		if want := set(v, value); want != "" {
			l.problems = append(l.problems, Problem{Place: "environment", Key: name, What: "is " + strconv.Quote(value) + ", want " + want})
		}
		l.places[keys[name]] = "environment " + name
	}
}

// set stores text in v and returns what was wanted when it does not fit.
func set(v reflect.Value, text string) string {
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return "a duration such as 30s or 12h"
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return "a whole number"
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "true or false"
		}
		v.SetBool(b)
	case v.Kind() == reflect.Slice:
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		v.SetString(text)
	}
	return ""
}

// nearest returns the known name that a typing error most likely meant, or nothing.
func nearest(name string, known []string) string {
	best, at := "", 1+len(name)/3 // a third of the letters may be wrong
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= at {
			if best == "" || d < at {
				best, at = k, d
			}
		}
	}
	return best
}

// distance is Levenshtein's, with a swap of neighbours as one step.
func distance(a, b string) int {
	prev2, prev, cur := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, make([]int, len(b)+1)
	}
	return prev[len(b)]
}
