package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	"mmdb"
)

// A lookAt is a value or a page over the list.
type lookAt struct {
	name  string // of what is shown
	title string
	hint  string
	forms []lookForm
	form  int      // of them, which is shown
	lines []string // of that form, as wide as the screen
	top   int      // the first one on the screen
	value bool     // it is a value, not a page
	run   uint64   // page of the run that holds the value, 0 for none
}

// A lookForm is one way to show a value.
type lookForm struct {
	name string
	text string
	cut  bool // lines that are too long are cut, not continued in the next
}

// lookBytes is how much of a value is shown.
const lookBytes = 1 << 20

// showValue shows the value of the selected key.
func (m *browser) showValue() {
	m.withSelected(func(_ *mmdb.Tx, b *mmdb.Bucket, key []byte) error {
		v := b.Get(key)
		if v == nil {
			return noKey(m.path, key)
		}
		m.look = newValueLook(m.path.child(key).String(), v)
		m.look.wrap(m.width)
		return nil
	})
}

// withSelected calls fn for the selected key and its bucket, and shows its error.
func (m *browser) withSelected(fn func(tx *mmdb.Tx, b *mmdb.Bucket, key []byte) error) {
	if m.key == nil {
		return
	}
	err := viewError(m.file, m.db.View(func(tx *mmdb.Tx) error {
		b, err := m.path.find(tx)
		if err != nil {
			return err
		}
		return fn(tx, b, m.key)
	}))
	if err != nil {
		m.status = oneLine(err)
	}
}

// newValueLook prepares the forms of a value, the best one first.
func newValueLook(name string, v []byte) *lookAt {
	l := &lookAt{name: name + "  " + size(len(v)), value: true, hint: "tab text, JSON, hexadecimal  p page  e edit  ← back  q quit"}
	if len(v) > lookBytes {
		v = v[:lookBytes]
		l.name += ", the first " + shortSize(lookBytes) + " of them"
	}
	text := lookForm{name: "text", text: lineText(v)}
	dump := lookForm{name: "hexadecimal", text: hex.Dump(v), cut: true}
	var indented bytes.Buffer
	trimmed := bytes.TrimSpace(v)
	isJSON := len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Indent(&indented, trimmed, "", "  ") == nil
	switch {
	case isJSON:
		l.forms = []lookForm{{name: "JSON", text: lineText(indented.Bytes())}, text, dump}
	case utf8.Valid(v) && !bytes.ContainsAny(v, "\x00\x01\x02\x03\x04\x05\x06\x07\x08"):
		l.forms = []lookForm{text, dump}
	default:
		l.forms = []lookForm{dump, text}
	}
	return l
}

// lineText escapes what can't be shown but ends of lines and tabs.
func lineText(v []byte) string {
	var out []byte
	for line := range bytes.Lines(v) {
		body, ended := bytes.CutSuffix(line, []byte("\n"))
		out = append(out, visible(strings.ReplaceAll(string(body), "\t", "    "))...)
		if ended {
			out = append(out, '\n')
		}
	}
	return string(out)
}

// wrap breaks the shown form into lines for a width.
func (l *lookAt) wrap(width int) {
	f := l.forms[l.form]
	l.title, l.lines = l.name, nil
	if f.name != "" {
		l.title += "  " + f.name
	}
	width = max(width-2, 10)
	for line := range strings.Lines(strings.TrimSuffix(f.text, "\n") + "\n") {
		line = strings.TrimSuffix(line, "\n")
		for !f.cut && textColumns(line) > width {
			head := firstColumns(line, width)
			l.lines = append(l.lines, " "+head)
			line = line[len(head):]
		}
		l.lines = append(l.lines, " "+shorten(line, width))
	}
	l.top = min(l.top, max(len(l.lines)-1, 0))
}

// firstColumns returns as much of s as fits into n columns of a terminal, at least one character.
func firstColumns(s string, n int) string {
	used := 0
	for i, r := range s {
		if used += columns(r); used > n && i > 0 {
			return s[:i]
		}
	}
	return s
}

// visible returns the lines that are on a screen of n lines.
func (l *lookAt) visible(n int) []string {
	return append([]string(nil), l.lines[l.top:min(l.top+n, len(l.lines))]...)
}

// pressLook handles a key over a value or page.
func (m *browser) pressLook(name string) tea.Cmd {
	l, screen := m.look, m.listHeight()
	last := max(len(l.lines)-screen, 0)
	switch name {
	case "esc", "left", "h", "backspace":
		m.look = nil
		m.reload()
	case "up", "k":
		l.top = max(l.top-1, 0)
	case "down", "j":
		l.top = min(l.top+1, last)
	case "pgup", "ctrl+b":
		l.top = max(l.top-screen+1, 0)
	case "pgdown", "ctrl+f", " ":
		l.top = min(l.top+screen-1, last)
	case "home", "g":
		l.top = 0
	case "end", "G":
		l.top = last
	case "tab", "t":
		l.form, l.top = (l.form+1)%len(l.forms), 0
		l.wrap(m.width)
	case "p":
		if l.value {
			m.showPage()
		}
	case "o":
		if l.run != 0 {
			m.showRun(l.run)
		}
	case "e":
		if l.value {
			m.edit()
		}
	case "E":
		if l.value {
			return m.editOutside()
		}
	}
	return nil
}

// showPage shows the page that holds the selected key.
func (m *browser) showPage() {
	m.withSelected(func(tx *mmdb.Tx, _ *mmdb.Bucket, key []byte) error {
		where, err := locate(tx, m.path, key)
		if err != nil {
			return err
		}
		m.look, err = m.pageLook(tx, where.page)
		if err != nil {
			return err
		}
		m.look.name += " holds " + m.path.child(key).String()
		if where.run != 0 {
			m.look.run = where.run
			m.look.name += fmt.Sprintf(", its value is in the run at page %d", where.run)
			m.look.hint = "o the run with the value  " + m.look.hint
		}
		m.look.wrap(m.width)
		return nil
	})
}

// showRun shows the run of pages that starts at no.
func (m *browser) showRun(no uint64) {
	m.withSelected(func(tx *mmdb.Tx, _ *mmdb.Bucket, _ []byte) (err error) {
		if m.look, err = m.pageLook(tx, no); err == nil {
			m.look.wrap(m.width)
		}
		return err
	})
}

// pageLook prints page no as "mmdb page" does.
func (m *browser) pageLook(tx *mmdb.Tx, no uint64) (*lookAt, error) {
	var text bytes.Buffer
	a := *m.a
	a.out, a.json = newOutput(&text), false
	if err := a.page(tx, no, pageOptions{}); err != nil {
		return nil, err
	}
	if err := a.out.Flush(); err != nil {
		return nil, err
	}
	return &lookAt{name: fmt.Sprintf("page %d", no), forms: []lookForm{{text: text.String(), cut: true}}, hint: "↑ ↓ scroll  ← back  q quit"}, nil
}
