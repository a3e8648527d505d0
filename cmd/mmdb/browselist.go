package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"mmdb"
)

var (
	barStyle      = lipgloss.NewStyle().Reverse(true)
	selectedStyle = lipgloss.NewStyle().Reverse(true)
	bucketStyle   = lipgloss.NewStyle().Bold(true)
	faintStyle    = lipgloss.NewStyle().Faint(true)
)

// listHeight is how many keys fit on the screen, between the lines at the top and the bottom.
func (m *browser) listHeight() int { return max(m.height-2, 1) }

// selected returns the row that is selected, nil if there is none.
func (m *browser) selected() *browseRow {
	if i := m.at - m.top; m.at >= m.top && i < uint64(len(m.rows)) {
		return &m.rows[i]
	}
	return nil
}

// reload looks at the file, and says what is wrong with it where that can't be shown.
func (m *browser) reload() {
	m.rows = m.rows[:0]
	if err := viewError(m.file, m.db.View(m.read)); err != nil {
		m.status = oneLine(err)
	}
}

// read takes the part of the list that fits on the screen out of the file. The selected key stays selected, or else
// the one after it, whatever was put or deleted meanwhile; without one the place counts.
func (m *browser) read(tx *mmdb.Tx) error {
	b, err := m.path.find(tx)
	for errors.Is(err, mmdb.ErrBucketNotFound) { // it was deleted meanwhile
		m.key, m.path = m.path[len(m.path)-1], m.path[:len(m.path)-1]
		b, err = m.path.find(tx)
	}
	if err != nil {
		return err
	}
	m.commit, m.keys = tx.ID(), b.Len()
	c := b.Cursor()
	if m.key != nil {
		k, _ := c.Seek(m.key)
		switch {
		case tx.Err() != nil:
			return tx.Err()
		case k != nil:
			m.at = c.Rank()
		default:
			m.at = m.keys
		}
	}
	m.at = min(m.at, m.keys-min(m.keys, 1))
	m.scroll()
	k, v := c.SeekIndex(m.top)
	for ; k != nil && len(m.rows) < m.listHeight(); k, v = c.Next() {
		m.rows = append(m.rows, m.row(b, k, v))
	}
	m.key = nil
	if row := m.selected(); row != nil {
		m.key = row.key
	}
	return tx.Err()
}

// scroll moves the part that is shown so that the selected key is in it.
func (m *browser) scroll() {
	n := uint64(m.listHeight())
	switch {
	case m.at < m.top:
		m.top = m.at
	case m.at >= m.top+n:
		m.top = m.at - n + 1
	}
	m.top = min(m.top, m.keys-min(m.keys, n))
}

func (m *browser) row(b *mmdb.Bucket, k, v []byte) browseRow {
	row := browseRow{key: bytes.Clone(k), text: m.a.format.encode(k[:min(len(k), 1000)]), bucket: v == nil}
	if row.bucket {
		row.value = "<bucket" + nestedKeys(b, k) + ">"
	} else {
		row.value, row.size = m.a.format.encode(v[:min(len(v), 4*m.width)]), len(v)
	}
	return row
}

// View draws the screen.
func (m *browser) View() string {
	if m.width == 0 {
		return ""
	}
	lines := m.body()
	for len(lines) < m.listHeight() {
		lines = append(lines, "")
	}
	top := barStyle.Render(fit(m.heading(), m.width))
	return top + "\n" + strings.Join(lines[:m.listHeight()], "\n") + "\n" + m.bottom()
}

// fit cuts s to the width, or fills it up with spaces.
func fit(s string, width int) string {
	s = shorten(s, width)
	return s + strings.Repeat(" ", max(width-textColumns(s), 0))
}

// heading says what is shown.
func (m *browser) heading() string {
	if m.look != nil {
		return " " + m.look.title
	}
	place := ""
	if m.keys > 0 {
		place = count(m.at+1) + " of "
	}
	return " " + visible(m.file) + "  " + m.path.String() + "  " + place + plural(m.keys, "key", "keys") + "  commit " + count(m.commit)
}

// body returns the lines between the top and the bottom.
func (m *browser) body() []string {
	switch {
	case m.help:
		return strings.Split(browseHelp, "\n")
	case m.look != nil:
		return m.look.visible(m.listHeight())
	case len(m.rows) == 0 && m.status == "":
		return []string{"", "  there are no keys in this bucket"}
	}
	column := 12
	for i := range m.rows {
		column = max(column, textColumns(m.rows[i].text)+2)
	}
	column = min(column, m.width/2)
	var lines []string
	for i := range m.rows {
		lines = append(lines, m.line(&m.rows[i], column, m.top+uint64(i) == m.at))
	}
	return lines
}

// line draws one key, with its value from a column on.
func (m *browser) line(row *browseRow, column int, selected bool) string {
	key, value, room := fit(shorten(row.text, column-1), column), row.value, max(m.width-column-1, 0)
	switch {
	case row.bucket:
		value = shorten(value, room)
	case textColumns(value) > room:
		note := fmt.Sprintf(" (%s bytes)", count(row.size))
		value = shorten(shorten(value, max(room-len(note), 1))+note, room)
	}
	switch {
	case selected:
		return selectedStyle.Render(fit(" "+key+value, m.width))
	case row.bucket:
		return " " + bucketStyle.Render(key) + faintStyle.Render(value)
	}
	return " " + key + faintStyle.Render(value)
}

// bottom is the last line: a question, what has happened, or what can be done.
func (m *browser) bottom() string {
	switch {
	case m.ask != nil:
		return m.ask.view(m.width)
	case m.status != "":
		return barStyle.Render(fit(" "+visible(m.status), m.width))
	case m.look != nil:
		return faintStyle.Render(shorten(" "+m.look.hint, m.width))
	}
	return faintStyle.Render(shorten(" enter open  ← up  / find  s seek  p page  e edit  a add  d delete  ? help  q quit", m.width))
}

// browseHelp lists the keys.
const browseHelp = `
  ↑ ↓ k j          one key up, down          PgUp PgDn      a screen
  Home End g G     first, last key           enter → l      open bucket or value
  ← backspace h    the bucket above          r              look again (done each second)

  s                go to the first key from what is typed
  /                find text in keys and values, from here on, in this bucket
  n                find the next one         esc            stop the search

  p                the page that holds the key
  e                edit the value in a line  E              in $VISUAL or $EDITOR, as it is
  a                add a key
  d                delete the key, or the bucket with all that is in it

  In a value       tab: text, JSON, hexadecimal    p: page    e: edit    esc ← back
  In a page        o: the run of pages that holds the value   esc ← back

  Keys and values are typed as --format says: in text \n, \\ and \xNN are bytes.
  q                quit`
