//go:build unix

package fuzz

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mmdb"
	"mmdb/mmapfile"
)

var (
	processesFor  = flag.Duration("processes.for", 0, "let processes share a database, and kill them, for this long")
	processesSeed = flag.Uint64("processes.seed", 1, "seed of the processes that share a database")
)

// processes is a run of the processes test.
type processes struct {
	t      *testing.T
	seed   uint64
	path   string
	acked  atomic.Uint64 // the newest transaction that was acknowledged to anybody
	acks   atomic.Uint64
	number uint64
	mu     sync.Mutex
	errs   []error
}

// A process is one of its workers.
type process struct {
	cmd    *exec.Cmd
	in     io.Closer
	killed atomic.Bool
	opened chan struct{} // closed when it has the database open, or is gone
	done   chan struct{}
}

// Several processes read and write one database. At random one is killed, or stopped for a while. Every reader sees exactly one commit, and
// goes on seeing it; what was acknowledged stays; and at the end the file is whole.
func TestProcessesShareADatabase(t *testing.T) {
	t.Parallel() // it waits for much of the time
	if !mmapfile.ByteLocks {
		t.Skip("this system can't lock single bytes of a file: there is no sharing")
	}
	length := 8 * time.Second
	if brief() {
		length = 4 * time.Second
	}
	if *processesFor > 0 {
		length = *processesFor
	}
	for seed, until := *processesSeed, time.Now().Add(length); time.Now().Before(until); seed++ {
		p := &processes{t: t, seed: seed, path: filepath.Join(t.TempDir(), "db")}
		p.run(min(time.Until(until), 20*time.Second))
		if t.Failed() {
			t.Fatalf("again: go test ./fuzz -run ProcessesShare -processes.seed=%d", seed)
		}
	}
}

func (p *processes) run(length time.Duration) {
	rng := rand.New(rand.NewPCG(p.seed, 0))
	all := make([]*process, 4)
	for i := range all {
		all[i] = p.start(i)
	}
	killed, stopped := 0, 0
	for until := time.Now().Add(length); time.Now().Before(until) && len(p.errors()) == 0; {
		time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond)
		i := rng.IntN(len(all))
		switch rng.IntN(4) {
		case 0:
			p.pause(all[i], time.Duration(rng.IntN(300))*time.Millisecond)
			stopped++
		case 1:
			p.end(all[i]) // in order
			all[i] = p.start(i)
		default:
			if rng.IntN(3) > 0 {
				<-all[i].opened
				time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
			}
			p.kill(all[i])
			killed++
			all[i] = p.start(i)
		}
	}
	for _, w := range all {
		p.end(w)
	}
	for _, err := range p.errors() {
		p.t.Error(err)
	}
	p.verify()
	p.t.Logf("seed %d: %d transactions acknowledged, %d processes killed, %d stopped for a while", p.seed, p.acks.Load(), killed, stopped)
}

func (p *processes) errors() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs
}

func (p *processes) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}

// start starts worker i; the last one only reads.
func (p *processes) start(i int) *process {
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	kind := "write"
	if i == 3 && p.number > 3 { // the first ones make the database
		kind = "read"
	}
	p.number++
	w := &process{cmd: exec.Command(self), opened: make(chan struct{}), done: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s %s", procVariable, p.seed, p.number, kind, p.path))
	var stderr bytes.Buffer
	w.cmd.Stderr = &stderr
	in, err1 := w.cmd.StdinPipe()
	out, err2 := w.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, w.cmd.Start()); err != nil {
		p.t.Fatal(err)
	}
	w.in = in
	go func() {
		defer close(w.done)
		last := p.listen(w, out)
		err := w.cmd.Wait()
		if !w.killed.Load() && (err != nil || last != "done") {
			p.fail(fmt.Errorf("worker %d (%s): %v: %s\n%s", i, kind, err, last, stderr.Bytes()))
		}
	}()
	return w
}

// listen reads what a worker says to its end.
func (p *processes) listen(w *process, out io.Reader) (last string) {
	open := false
	defer func() {
		if !open {
			close(w.opened)
		}
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		last = lines.Text()
		var n uint64
		if _, err := fmt.Sscanf(last, "ack %d", &n); err == nil {
			p.acks.Add(1)
			for old := p.acked.Load(); n > old && !p.acked.CompareAndSwap(old, n); old = p.acked.Load() {
			}
		} else if last == "open" {
			open = true
			close(w.opened)
		} else if strings.HasPrefix(last, "failed") {
			p.fail(errors.New(last))
		}
	}
	return last
}

func (p *processes) kill(w *process) {
	w.killed.Store(true)
	_ = w.cmd.Process.Kill()
	<-w.done
}

func (p *processes) pause(w *process, d time.Duration) {
	_ = w.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = w.cmd.Process.Signal(syscall.SIGCONT)
}

// endTime is how long a worker may take to end. Longer is a hang: its stacks are the report.
const endTime = 90 * time.Second

// end lets a worker end in order.
func (p *processes) end(w *process) {
	_ = w.in.Close()
	select {
	case <-w.done:
	case <-time.After(endTime):
		p.fail(errors.New("a worker hangs"))
		_ = w.cmd.Process.Signal(syscall.SIGQUIT)
		<-w.done
	}
}

// verify opens the database alone and looks at all of it.
func (p *processes) verify() {
	db, err := mmdb.Open(p.path, 0o600, &mmdb.Options{Exclusive: true, Timeout: 10 * time.Second})
	if err != nil {
		p.t.Error(err)
		return
	}
	m := &procModel{seed: p.seed}
	err = db.View(func(tx *mmdb.Tx) error {
		for err := range tx.Check() {
			p.t.Error(err)
		}
		return m.verify(tx)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		p.t.Error(err)
	}
	if m.n < p.acked.Load() {
		p.t.Errorf("transaction %d was acknowledged, the database holds %d", p.acked.Load(), m.n)
	}
}
