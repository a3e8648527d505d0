package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// tortureWorker is the hidden command that a child runs.
const tortureWorker = "tortured"

// tortureRound is what one child did.
type tortureRound struct {
	opened bool
	found  uint64 // the last transaction when it opened the database
	acks   int    // transactions that it acknowledged
	acked  uint64 // the highest of them
	gaveUp int
	done   bool   // it closed the database
	failed string // what it says went wrong
}

// torturePatience is that of the parent with a child that was asked to end, and with one that was killed.
const torturePatience = time.Minute

// child starts a child, ends it one way or the other within left, and returns what it did.
func (t *torture) child(left time.Duration) (*tortureRound, error) {
	cmd, err := t.command()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	life, ask, grace := t.fate(left)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c, over := &tortureRound{}, make(chan struct{})
	go func() {
		defer close(over)
		c.listen(out)
	}()
	killed := t.end(cmd, in, over, life, ask, grace)
	<-over
	err = cmd.Wait()
	switch {
	case t.a.interrupted() != nil:
		return nil, errInterrupted
	case c.failed != "":
		return nil, c.failure()
	case !killed && (err != nil || !c.done):
		return nil, fmt.Errorf("the writer ended by itself: %v: %s", err, strings.TrimSpace(said.String()))
	}
	if killed {
		t.result.Killed++
		switch {
		case !c.opened:
			t.result.Opening++
		case ask:
			t.result.Closing++
		}
	}
	return c, nil
}

// command returns the command of a child: this very program.
func (t *torture) command() (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{tortureWorker, t.file, "--seed", strconv.FormatUint(t.seed, 10), "--writers", strconv.Itoa(t.writers),
		"--round", strconv.Itoa(t.result.Rounds)}
	if t.rng.IntN(4) == 0 {
		args = append(args, "--two-phase")
	}
	if t.rng.IntN(4) == 0 {
		args = append(args, "--max-dirty", strconv.Itoa(64<<10))
	}
	return exec.Command(self, args...), nil
}

// fate draws how a child ends: how long it lives, whether it is asked to end then, and how long it has to do so (0: as long
// as it takes) before it is killed.
func (t *torture) fate(left time.Duration) (life time.Duration, ask bool, grace time.Duration) {
	switch t.rng.IntN(10) {
	case 0, 1: // while it opens the database
		life = time.Duration(t.rng.Int64N(int64(10 * time.Millisecond)))
	case 2: // or soon after
		life = time.Duration(t.rng.Int64N(int64(30 * time.Millisecond)))
	case 3:
		life = time.Duration(t.rng.Int64N(int64(time.Second)))
	default:
		life = time.Duration(t.rng.Int64N(int64(300 * time.Millisecond)))
	}
	if t.rng.IntN(8) == 0 {
		ask = true
		if t.rng.IntN(2) == 0 {
			grace = 1 + time.Duration(t.rng.Int64N(int64(5*time.Millisecond)))
		}
	}
	return min(life, left), ask, grace
}

// end ends the child as fate has it, and reports whether it was killed. over is closed when the child has gone.
func (t *torture) end(cmd *exec.Cmd, in io.Closer, over <-chan struct{}, life time.Duration, ask bool, grace time.Duration) bool {
	select {
	case <-time.After(life):
	case <-over:
		return false
	case <-t.a.ctx.Done():
	}
	if ask {
		if grace == 0 {
			grace = torturePatience
		}
		_ = in.Close()
		select {
		case <-time.After(grace):
		case <-over:
			return false
		}
	}
	return cmd.Process.Kill() == nil
}

// listen takes down what the child says, to its end. A line that it could not finish does not count.
func (c *tortureRound) listen(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, _ := strconv.ParseUint(rest, 10, 64)
		switch word {
		case "open":
			c.opened, c.found = true, n
		case "ack":
			c.acks++
			c.acked = max(c.acked, n)
		case "gaveup":
			c.gaveUp++
		case "done":
			c.done = true
		default:
			c.failed = word + " " + rest
		}
	}
}

// failure is the error for what the child says went wrong.
func (c *tortureRound) failure() error {
	if what, ok := strings.CutPrefix(c.failed, "loss "); ok {
		return lossError{"the writer: " + what}
	}
	return errors.New("the writer: " + strings.TrimPrefix(c.failed, "error "))
}
