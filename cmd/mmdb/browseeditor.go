package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"mmdb"
)

// editorBytes is the longest value that is given to an editor.
const editorBytes = 16 << 20

// editedMsg ends the editor: with the new value of a key, or why there is none.
type editedMsg struct {
	key, old, value []byte
	err             error
}

// editOutside gives the value of the selected key, as it is, to the editor that the environment names.
func (m *browser) editOutside() (cmd tea.Cmd) {
	row := m.selected()
	if row == nil || !m.mayEdit() {
		return nil
	}
	m.withSelected(func(_ *mmdb.Tx, b *mmdb.Bucket, key []byte) (err error) {
		old := b.Get(key)
		switch {
		case row.bucket:
			return errors.New("it is a bucket: enter opens it")
		case old == nil:
			return noKey(m.path, key)
		case len(old) > editorBytes:
			return fmt.Errorf("values of more than %s are not edited here: mmdb put takes them from a file", shortSize(editorBytes))
		}
		cmd, err = editValue(bytes.Clone(key), bytes.Clone(old))
		return err
	})
	return cmd
}

// editValue runs the editor on a file with the value.
func editValue(key, old []byte) (tea.Cmd, error) {
	program := strings.Fields(editorProgram())
	if len(program) == 0 {
		return nil, errors.New("no editor is named by VISUAL or EDITOR")
	}
	f, err := os.CreateTemp("", "mmdb-*.value")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(old)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	run := exec.Command(program[0], append(program[1:], f.Name())...)
	return tea.ExecProcess(run, func(err error) tea.Msg {
		defer os.Remove(f.Name())
		msg := editedMsg{key: key, old: old, err: err}
		if err == nil {
			msg.value, msg.err = readEdited(f.Name())
		} else {
			msg.err = fmt.Errorf("%s: %w", program[0], err)
		}
		return msg
	}), nil
}

// readEdited returns what the editor has left in the file.
func readEdited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mmdb.MaxValueSize))
}

// editorProgram is the editor with its arguments.
func editorProgram() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if program := os.Getenv(name); program != "" {
			return program
		}
	}
	return ""
}

// edited asks whether what the editor has left is to be stored.
func (m *browser) edited(msg editedMsg) {
	if msg.err != nil {
		m.status = oneLine(msg.err)
		return
	}
	m.confirmValue(msg.key, msg.old, msg.value)
}
