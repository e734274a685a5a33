/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Mechanical returns the mutants of one file of the repository: each of its
// conditions negated, each operand of "and" and "or" removed, and each guard's refusal
// ignored. Other conditions that only ask for an error are left alone.
func Mechanical(repository, path string) ([]Mutant, error) {
	source, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(path))) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", path, err)
	}

	m := mechanic{path: path, source: source, files: files}
	ast.Inspect(parsed, m.visit)
	return m.mutants, nil
}

// mechanic collects the mutants of one file.
type mechanic struct {
	path    string
	source  []byte
	files   *token.FileSet
	mutants []Mutant
}

func (m *mechanic) visit(node ast.Node) bool {
	switch node := node.(type) {
	case *ast.IfStmt:
		m.condition(node.Cond)
		m.guard(node)
	case *ast.SwitchStmt:
		if node.Tag == nil {
			m.cases(node)
		}
	case *ast.FuncDecl:
		m.predicate(node)
	}
	return true
}

// guards are the functions that refuse a step by an error.
var guards = regexp.MustCompile(`^(permit|refuse|confirm|check|only|gate)`)

// guard ignores what a guard returns.
func (m *mechanic) guard(node *ast.IfStmt) {
	assignment, ok := node.Init.(*ast.AssignStmt)
	if !ok || !m.asksForError(node.Cond) {
		return
	}
	call, ok := assignment.Rhs[0].(*ast.CallExpr)
	if !ok {
		return
	}
	if callee, ok := call.Fun.(*ast.SelectorExpr); ok && guards.MatchString(callee.Sel.Name) {
		m.add(node.Cond, fmt.Sprintf("false && (%s)", m.text(node.Cond)), "ignored: "+m.text(call))
	}
}

func (m *mechanic) cases(node *ast.SwitchStmt) {
	for _, statement := range node.Body.List {
		clause, ok := statement.(*ast.CaseClause)
		if !ok {
			continue
		}
		for _, expression := range clause.List {
			m.condition(expression)
		}
	}
}

// predicate changes the results of functions that return one bool.
func (m *mechanic) predicate(function *ast.FuncDecl) {
	results := function.Type.Results
	if function.Body == nil || results == nil || len(results.List) != 1 {
		return
	}
	if kind, ok := results.List[0].Type.(*ast.Ident); !ok || kind.Name != "bool" {
		return
	}

	ast.Inspect(function.Body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			return false // Its results are its own.
		case *ast.ReturnStmt:
			if len(node.Results) == 1 {
				m.condition(node.Results[0])
			}
		}
		return true
	})
}

func (m *mechanic) condition(expression ast.Expr) {
	if m.asksForError(expression) {
		return
	}

	text := m.text(expression)
	m.add(expression, fmt.Sprintf("!(%s)", text), "negated: "+text)
	m.operands(expression)
}

// operands removes each operand of a chain of "and" or "or".
func (m *mechanic) operands(expression ast.Expr) {
	if inner, ok := expression.(*ast.ParenExpr); ok {
		m.operands(inner.X)
		return
	}
	binary, ok := expression.(*ast.BinaryExpr)
	if !ok {
		return
	}

	// What is removed is still mentioned, so that no variable is left unused.
	var neutral string
	switch binary.Op {
	case token.LAND:
		neutral = "(true || (%s))"
	case token.LOR:
		neutral = "(false && (%s))"
	default:
		return
	}
	for _, operand := range []ast.Expr{binary.X, binary.Y} {
		if chained, ok := operand.(*ast.BinaryExpr); ok && chained.Op == binary.Op {
			m.operands(chained)
			continue
		}
		text := m.text(operand)
		m.add(operand, fmt.Sprintf(neutral, text), "removed: "+text)
		m.operands(operand)
	}
}

// asksForError reports whether a condition only compares an error with nil.
func (m *mechanic) asksForError(expression ast.Expr) bool {
	text := m.text(expression)
	return text == "err != nil" || text == "err == nil" || text == "client.IgnoreNotFound(err) != nil"
}

func (m *mechanic) text(node ast.Node) string {
	return string(m.source[m.files.Position(node.Pos()).Offset:m.files.Position(node.End()).Offset])
}

func (m *mechanic) add(node ast.Node, replacement, what string) {
	start := m.files.Position(node.Pos())
	end := m.files.Position(node.End())

	var changed strings.Builder
	changed.Write(m.source[:start.Offset])
	changed.WriteString(replacement)
	changed.Write(m.source[end.Offset:])
	m.mutants = append(m.mutants, Mutant{
		Name:  fmt.Sprintf("%s:%d:%d", m.path, start.Line, start.Column),
		What:  strings.Join(strings.Fields(what), " "),
		Files: map[string][]byte{m.path: []byte(changed.String())},
	})
}
