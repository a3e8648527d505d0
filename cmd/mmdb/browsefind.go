package main

import (
	"bytes"
	"context"
	"errors"

	tea "github.com/charmbracelet/bubbletea"

	"mmdb"
)

// foundMsg ends a search: with the key, or nil when there is none.
type foundMsg struct {
	key []byte
	err error
}

// searchStep is how many keys are looked at in one transaction.
const searchStep = 5000

// search looks for text, from the selected key on.
func (m *browser) search(text string) tea.Cmd {
	what, err := m.a.format.decode("the text", text)
	if err != nil || len(what) == 0 {
		if err != nil {
			m.status = err.Error()
		}
		return nil
	}
	m.sought = what
	return m.searchOn()
}

// searchOn looks for the next place of what was sought last.
func (m *browser) searchOn() tea.Cmd {
	if m.sought == nil {
		m.status = "nothing was searched for yet: / does"
		return nil
	}
	ctx, stop := context.WithCancel(m.a.ctx)
	m.stop, m.status = stop, "searching, esc stops"
	s := searcher{db: m.db, path: m.path, what: m.sought, start: m.key}
	return func() tea.Msg {
		key, err := s.run(ctx)
		return foundMsg{key, err}
	}
}

// found shows the end of a search.
func (m *browser) found(msg foundMsg) {
	m.stop()
	m.stop, m.status = nil, ""
	switch {
	case errors.Is(msg.err, context.Canceled):
		m.status = "the search was stopped"
	case msg.err != nil:
		m.status = oneLine(viewError(m.file, msg.err))
	case msg.key == nil:
		m.status = "not found in this bucket: " + textForm(m.sought)
	default:
		m.key = msg.key
		m.reload()
	}
}

// A searcher goes once around a bucket, in short transactions.
type searcher struct {
	db    *mmdb.DB
	path  bucketPath
	what  []byte
	start []byte // the search begins after this key, and ends with it
}

// run returns the first key that has the text in it or in its value, nil if there is none.
func (s *searcher) run(ctx context.Context) (key []byte, err error) {
	from, wrapped := s.start, s.start == nil
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var more bool
		err := s.db.View(func(tx *mmdb.Tx) error {
			key, from, more, err = s.step(tx, from, wrapped)
			return err
		})
		switch {
		case err != nil || key != nil:
			return key, err
		case !more && wrapped:
			return nil, nil
		case !more:
			from, wrapped = nil, true
		}
	}
}

// step looks at the next keys after from. It returns the last one that it looked at, and whether there are more.
func (s *searcher) step(tx *mmdb.Tx, from []byte, wrapped bool) (key, last []byte, more bool, err error) {
	b, err := s.path.find(tx)
	if err != nil {
		return nil, nil, false, err
	}
	c := b.Cursor()
	k, v := c.First()
	if from != nil {
		if k, v = c.Seek(from); bytes.Equal(k, from) {
			k, v = c.Next()
		}
	}
	for n := 0; k != nil; k, v = c.Next() {
		if wrapped && s.start != nil && bytes.Compare(k, s.start) > 0 {
			return nil, nil, false, nil
		}
		if bytes.Contains(k, s.what) || bytes.Contains(v, s.what) {
			return bytes.Clone(k), nil, true, nil
		}
		if n++; n == searchStep {
			return nil, bytes.Clone(k), true, nil
		}
	}
	return nil, nil, false, tx.Err()
}
