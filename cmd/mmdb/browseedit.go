package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"mmdb"
)

// A question is a line to type, or one that is answered by y.
type question struct {
	label string
	input *textinput.Model // nil for yes or no
	then  func(text string) tea.Cmd
}

// askFor asks for a line of text, which then gets.
func (m *browser) askFor(label, text string, then func(text string) tea.Cmd) {
	in := textinput.New()
	in.Prompt = ""
	in.SetValue(text)
	in.CursorEnd()
	in.Focus()
	m.ask = &question{label: label, input: &in, then: then}
}

// confirm asks whether to go on.
func (m *browser) confirm(label string, then func()) {
	m.ask = &question{label: label + " y/n ", then: func(string) tea.Cmd {
		then()
		return nil
	}}
}

// view draws the question.
func (q *question) view(width int) string {
	label := visible(q.label)
	if q.input == nil {
		return barStyle.Render(fit(" "+label, width))
	}
	label = shorten(label, max(width-12, 8))
	q.input.Width = max(width-textColumns(label)-3, 4)
	return bucketStyle.Render(" "+label) + q.input.View()
}

// answer handles a key while there is a question.
func (m *browser) answer(key tea.KeyMsg) tea.Cmd {
	q := m.ask
	switch name := key.String(); {
	case name == "esc", q.input == nil && name != "y":
		m.ask, m.status = nil, "nothing was done"
	case q.input == nil:
		m.ask = nil
		return q.then("")
	case name == "enter":
		m.ask = nil
		return q.then(q.input.Value())
	default:
		in, cmd := q.input.Update(key)
		q.input = &in
		return cmd
	}
	return nil
}

// editBytes is the longest value that is edited in a line.
const editBytes = 4096

// mayEdit says why nothing can be changed.
func (m *browser) mayEdit() bool {
	if m.readOnly {
		m.status = "changes are refused: --read-only"
	} else if len(m.path) == 0 {
		m.status = "the top level holds only buckets"
	}
	return m.status == ""
}

// edit asks for a new value of the selected key.
func (m *browser) edit() {
	row := m.selected()
	if row == nil || !m.mayEdit() {
		return
	}
	if row.bucket {
		m.status = "it is a bucket: enter opens it"
		return
	}
	m.withSelected(func(_ *mmdb.Tx, b *mmdb.Bucket, key []byte) error {
		old := bytes.Clone(b.Get(key))
		text := m.a.format.encode(old)
		switch {
		case old == nil:
			return noKey(m.path, key)
		case len(old) > editBytes:
			return fmt.Errorf("values of more than %s bytes are not edited in a line: E starts an editor", count(editBytes))
		}
		m.askFor("value of "+m.path.child(key).String()+": ", text, func(text string) tea.Cmd {
			m.replace(bytes.Clone(key), old, text)
			return nil
		})
		return nil
	})
}

// replace asks whether the value old of key is to become what text says.
func (m *browser) replace(key, old []byte, text string) {
	value, err := m.a.format.decode("the value", text)
	if err != nil {
		m.status = err.Error()
		return
	}
	m.confirmValue(key, old, value)
}

// confirmValue asks whether value is to stand in the place of old.
func (m *browser) confirmValue(key, old, value []byte) {
	if bytes.Equal(old, value) {
		m.status = "the value is the same"
		return
	}
	label := fmt.Sprintf("replace %s of %s by %s?", plural(len(old), "byte", "bytes"), m.path.child(key), plural(len(value), "byte", "bytes"))
	m.confirm(label, func() {
		m.change("replaced", key, func(b *mmdb.Bucket) error {
			if !bytes.Equal(b.Get(key), old) {
				return errChanged
			}
			return b.Put(key, value)
		})
	})
}

// errChanged refuses a change of what is not any more what was shown.
var errChanged = errors.New("it was changed by somebody else meanwhile: nothing was done")

// add asks for a key and its value.
func (m *browser) add() {
	if !m.mayEdit() {
		return
	}
	m.askFor("new key: ", "", func(text string) tea.Cmd {
		key, err := m.a.format.decode("the key", text)
		if err != nil {
			m.status = err.Error()
			return nil
		}
		m.askFor("its value: ", "", func(text string) tea.Cmd {
			m.addValue(key, text)
			return nil
		})
		return nil
	})
}

func (m *browser) addValue(key []byte, text string) {
	value, err := m.a.format.decode("the value", text)
	if err != nil {
		m.status = err.Error()
		return
	}
	m.confirm(fmt.Sprintf("add %s with %s?", m.path.child(key), plural(len(value), "byte", "bytes")), func() {
		m.change("added", key, func(b *mmdb.Bucket) error {
			if b.Get(key) != nil {
				return fmt.Errorf("%s is there already", m.path.child(key))
			}
			return b.Put(key, value)
		})
	})
}

// delete asks whether the selected key, or bucket, is to be deleted.
func (m *browser) delete() {
	row := m.selected()
	if row == nil {
		return
	}
	if m.readOnly {
		m.status = "changes are refused: --read-only"
		return
	}
	key := row.key
	name := m.path.child(key)
	if !row.bucket {
		m.confirm("delete "+name.String()+"?", func() {
			m.change("deleted", key, func(b *mmdb.Bucket) error { return b.Delete(key) })
		})
		return
	}
	m.confirm("delete the bucket "+name.String()+" "+row.value+" with all that is in it?", func() {
		m.change("deleted", key, func(b *mmdb.Bucket) error {
			if len(m.path) == 0 {
				return b.Tx().DeleteBucket(key)
			}
			return b.DeleteBucket(key)
		})
	})
}

// change makes one durable change in the shown bucket, and selects key. The file is opened for writing for just
// that long.
func (m *browser) change(what string, key []byte, fn func(b *mmdb.Bucket) error) {
	_ = m.db.Close()
	err := m.a.update(m.file, false, func(tx *mmdb.Tx) error {
		b, err := m.path.find(tx)
		if err != nil {
			return err
		}
		return fn(b)
	})
	if openErr := m.open(); openErr != nil {
		m.fatal = openErr
		m.status = oneLine(openErr)
		return
	}
	m.key = key
	m.reload()
	if m.look != nil {
		m.showValue()
	}
	if m.status = what + " " + m.path.child(key).String(); err != nil {
		m.status = oneLine(err)
	}
}
