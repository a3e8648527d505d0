package main

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"mmdb"
)

// browser is the state of "mmdb browse".
type browser struct {
	a        *app
	file     string
	readOnly bool
	db       *mmdb.DB
	fatal    error // why the browser ended

	width, height int // of the terminal

	// What is shown of the file, as of the last look.
	path   bucketPath // the bucket
	commit int
	keys   uint64      // in the bucket
	at     uint64      // place of the selected one
	key    []byte      // it, nil when the bucket is empty or the place alone counts
	top    uint64      // place of the first one on the screen
	rows   []browseRow // those on the screen

	look   *lookAt   // a value or page over the list, or nil
	help   bool      // the list of keys over everything
	ask    *question // at the bottom of the screen, or nil
	status string    // one line there
	sought []byte    // what was searched for last
	stop   func()    // ends the search that is running; nil when none is
}

// A browseRow is a line of the list.
type browseRow struct {
	key    []byte
	text   string // of the key
	value  string // the beginning of it, or what the bucket has
	size   int    // bytes of the value
	bucket bool
}

// open opens the file to read it.
func (m *browser) open() error {
	db, err := m.a.openDB(m.file, mmdb.Options{ReadOnly: true})
	if err != nil {
		return fileError(m.file, err)
	}
	m.db = db
	return nil
}

// browseTick asks for another look at the file.
type browseTick struct{}

// browseEvery is how often the screen looks whether there is a new commit.
const browseEvery = time.Second

func browseLater() tea.Cmd {
	return tea.Tick(browseEvery, func(time.Time) tea.Msg { return browseTick{} })
}

// Init begins the looks at the file.
func (m *browser) Init() tea.Cmd { return browseLater() }

// Update takes a key, or whatever else has happened.
func (m *browser) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.reload()
		if m.look != nil {
			m.look.wrap(m.width)
		}
	case browseTick:
		if m.stop == nil && m.changed() {
			m.reload()
		}
		return m, browseLater()
	case foundMsg:
		m.found(msg)
	case editedMsg:
		m.edited(msg)
	case tea.KeyMsg:
		return m, m.pressAll(msg)
	}
	return m, nil
}

// pressAll takes apart what was typed so quickly that it came as one message.
func (m *browser) pressAll(key tea.KeyMsg) tea.Cmd {
	if key.Type != tea.KeyRunes || key.Paste || len(key.Runes) == 1 {
		return m.press(key)
	}
	var cmds []tea.Cmd
	for _, r := range key.Runes {
		cmds = append(cmds, m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: key.Alt}))
	}
	return tea.Batch(cmds...)
}

// changed reports whether there is a newer commit than the one shown.
func (m *browser) changed() (yes bool) {
	err := m.db.View(func(tx *mmdb.Tx) error {
		yes = tx.ID() != m.commit
		return nil
	})
	return yes || err != nil
}

// press handles a key.
func (m *browser) press(key tea.KeyMsg) tea.Cmd {
	name := key.String()
	if name == "ctrl+c" || m.fatal != nil {
		return tea.Quit
	}
	if m.ask != nil {
		return m.answer(key)
	}
	m.status = ""
	switch {
	case m.help:
		m.help = false
	case m.stop != nil:
		if name == "esc" {
			m.stop()
		}
		m.status = "searching, esc stops"
	case name == "q":
		return tea.Quit
	case name == "?":
		m.help = true
	case name == "esc" && m.look == nil:
	case m.look != nil:
		return m.pressLook(name)
	default:
		return m.pressList(name)
	}
	return nil
}

// pressList handles a key in the list.
func (m *browser) pressList(name string) tea.Cmd {
	page := uint64(max(m.listHeight()-1, 1))
	switch name {
	case "up", "k":
		m.move(m.at - min(m.at, 1))
	case "down", "j":
		m.move(m.at + 1)
	case "pgup", "ctrl+b":
		m.move(m.at - min(m.at, page))
	case "pgdown", "ctrl+f", " ":
		m.move(m.at + page)
	case "home", "g":
		m.move(0)
	case "end", "G":
		m.move(m.keys)
	case "enter", "right", "l":
		m.enter()
	case "backspace", "left", "h":
		m.leave()
	case "p":
		m.showPage()
	case "s":
		m.askFor("go to the first key from: ", "", m.seek)
	case "/":
		m.askFor("find in keys and values: ", string(m.sought), m.search)
	case "n":
		return m.searchOn()
	case "e":
		m.edit()
	case "E":
		return m.editOutside()
	case "a":
		m.add()
	case "d":
		m.delete()
	case "r":
		m.reload()
	}
	return nil
}

// move selects the key at a place.
func (m *browser) move(to uint64) {
	m.at, m.key = to, nil
	m.reload()
}

// enter opens what is selected.
func (m *browser) enter() {
	row := m.selected()
	switch {
	case row == nil:
	case row.bucket:
		m.path = m.path.child(row.key)
		m.at, m.top, m.key = 0, 0, nil
		m.reload()
	default:
		m.showValue()
	}
}

// leave goes to the bucket above, to the one it comes from.
func (m *browser) leave() {
	if len(m.path) == 0 {
		return
	}
	last := len(m.path) - 1
	m.key, m.path = m.path[last], m.path[:last]
	m.reload()
}

// seek selects the first key that is not below text.
func (m *browser) seek(text string) tea.Cmd {
	key, err := m.a.format.decode("the key", text)
	if err != nil {
		m.status = err.Error()
		return nil
	}
	m.key = append([]byte{}, key...)
	m.reload()
	return nil
}
