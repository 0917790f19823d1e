package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Place string // "city.yaml:12" or the name of an environment variable; empty: a default
	Key   string // "http.listen"
	What  string
}

// String returns "city.yaml:12: http.listen: what is wrong".
func (p Problem) String() string {
	parts := []string{p.Place, p.Key, p.What}
	return strings.Join(deleteEmpty(parts), ": ")
}

func deleteEmpty(s []string) []string {
	out := s[:0]
	for _, v := range s {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

// Problems is the error of [Load]: all that is wrong, one a line.
type Problems []Problem

// Error returns one line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the file (empty: none) over the defaults, then the environment, as
// from os.Environ, and checks the whole. The error is [Problems], or that of
// reading the file.
func Load(path string, env []string) (Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	return Parse(path, text, env)
}

// Parse is [Load] for text that is already there; name is the file's, for errors.
func Parse(name string, text []byte, env []string) (Config, error) {
	cfg := Default()
	l := loader{file: name, places: map[string]string{}}
	if len(bytes.TrimSpace(text)) > 0 {
		l.yaml(&cfg, text)
	}
	l.environment(&cfg, env)
	if len(l.problems) == 0 {
		for _, p := range cfg.Validate() {
			p.Place = l.places[p.Key]
			if p.Place == "" {
				p.Place = l.file
			}
			l.problems = append(l.problems, p)
		}
	}
	if len(l.problems) > 0 {
		return Config{}, l.problems
	}
	return cfg, nil
}

type loader struct {
	file     string
	places   map[string]string // key -> where it was set
	problems Problems
}

func (l *loader) add(line int, key, format string, args ...any) {
	place := l.file
	if line > 0 {
		place += ":" + strconv.Itoa(line)
	}
	l.problems = append(l.problems, Problem{place, key, fmt.Sprintf(format, args...)})
}

func (l *loader) yaml(cfg *Config, text []byte) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		line, what := 0, err.Error()
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			line, what = syntax.Token.Position.Line, syntax.Message
		}
		l.add(line, "", "%s", what)
		return
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			l.walk(doc.Body, reflect.TypeOf(*cfg), "")
		}
	}
	if len(l.problems) > 0 {
		return
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		line, what := 0, err.Error()
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil {
			line, what = e.GetToken().Position.Line, e.GetMessage()
		}
		l.add(line, "", "%s", what)
	}
}

// walk checks a YAML node against the type it is for, and remembers where keys are.
func (l *loader) walk(n ast.Node, t reflect.Type, key string) {
	line := n.GetToken().Position.Line
	l.places[key] = fmt.Sprintf("%s:%d", l.file, line)
	if n.Type() == ast.NullType {
		return // a key without a value keeps its default
	}
	switch t.Kind() {
	case reflect.Struct:
		m, ok := n.(ast.MapNode)
		if !ok {
			l.add(line, key, "is %s, want keys below it", said(n))
			return
		}
		l.keys(m, t, key)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			l.add(line, key, "is %s, want a list", said(n))
			return
		}
		for i, v := range seq.Values {
			l.walk(v, t.Elem(), fmt.Sprintf("%s[%d]", key, i))
		}
	default:
		if want := mismatch(n, t); want != "" {
			l.add(line, key, "is %s, want %s", said(n), want)
		}
	}
}

func (l *loader) keys(m ast.MapNode, t reflect.Type, prefix string) {
	known := map[string]reflect.Type{}
	names := make([]string, 0, t.NumField())
	for f := range fields(t) {
		known[f.name] = f.typ
		names = append(names, f.name)
	}
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		name := it.Key().String()
		key := join(prefix, name)
		line := it.Key().GetToken().Position.Line
		typ, ok := known[name]
		switch {
		case !ok && nearest(name, names) != "":
			l.add(line, key, "unknown key (did you mean %s?)", join(prefix, nearest(name, names)))
		case !ok:
			l.add(line, key, "unknown key; known here: %s", strings.Join(names, ", "))
		case seen[name]:
			l.add(line, key, "is given twice")
		default:
			l.walk(it.Value(), typ, key)
			l.places[key] = fmt.Sprintf("%s:%d", l.file, line)
		}
		seen[name] = true
	}
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func said(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a group of keys"
	case *ast.SequenceNode:
		return "a list"
	}
	return strconv.Quote(n.String())
}

var durationType = reflect.TypeFor[time.Duration]()

// mismatch says what was wanted when a scalar does not fit, else nothing.
func mismatch(n ast.Node, t reflect.Type) string {
	scalar, ok := n.(ast.ScalarNode)
	if !ok {
		return "one value"
	}
	text := scalar.GetToken().Value
	switch {
	case t == durationType:
		if _, err := time.ParseDuration(text); err != nil {
			return "a duration such as 30s or 12h"
		}
	case t.Kind() == reflect.Int:
		if _, err := strconv.Atoi(text); err != nil {
			return "a whole number"
		}
	case t.Kind() == reflect.Bool:
		if n.Type() != ast.BoolType {
			return "true or false"
		}
	case t.Kind() == reflect.String:
		if n.Type() != ast.StringType && n.Type() != ast.LiteralType {
			return "text (put it in quotes)"
		}
	}
	return ""
}
