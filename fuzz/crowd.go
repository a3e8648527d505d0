package fuzz

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"mmdb"
	"mmdb/mmapfile"
)

// A Crowd is clients that commit to one database at the same time, so that their transactions share commits. Each transaction is
// compared with the model while it runs, and what each was promised, and when, goes into a trace.
//
// Each function leaves a state. Their ids follow each other in the order in which they ran. A crash may leave only states that a
// meta was written for: those that the last function of a group left.
type Crowd struct {
	Path    string
	Options mmdb.Options // the seam is called for what the recorder has seen
	Seed    uint64
	Clients int
	Each    int // transactions of each client in a session
	Fail    int // the number of the flush that fails, counted from 1 in each session; 0 is none
	// Lazy says that most transactions are lazy, and that clients call Sync. Without it all must be durable.
	Lazy bool

	rec *Recorder
	db  *mmdb.DB

	compacting int // calls of Compact at work; protected by mu

	mu      sync.Mutex
	rng     *rand.Rand // of pauses
	open    bool
	closing bool     // all clients have ended
	all     []*Model // the states of the trace
	first   int      // the id of the empty database
	ids     []int    // of each id from the first, its state: the functions of lost commits have theirs too, and their ids come again
	metas   []int    // the ids that metas were written for, counted from the first, from the newest that is certain
	acked   int      // the newest that was promised to survive a power loss
	kept    int      // the newest that was promised to survive the process
	landed  int      // the newest that readers may see
	flushes int      // in this session
	broken  bool     // a flush has failed
	err     error    // what is wrong by itself
	largest int      // functions in a group
	kinds   map[string]int
}

// CrowdProfile is what the functions of a Crowd do.
var CrowdProfile = newProfile(9000, 40, false, map[Kind]int{
	OpPut: 24, OpGet: 3, OpDelete: 8, OpPutReserve: 3, OpFill: 6, OpDrop: 5, OpDeleteRange: 4,
	OpEnsure: 2, OpDeleteBucket: 2, OpMove: 2, OpSequence: 2, OpWalk: 2,
})

// crowdKinds are the transactions of the clients, some more than once, so that they come more often.
var crowdKinds = []string{"update", "update", "update", "update", "update", "update", "update", "update",
	"begin", "error", "error", "panic", "exit", "rollback", "nothing", "view", "view", "check", "large", "sync", "compact"}

// crowdBucket is where each function says which one it is.
const crowdBucket = "crowd"

// errGivesUp is how a function of a client fails.
var errGivesUp = errors.New("fuzz: a function gives up")

// Run lets the clients work on a new database for so many sessions, each from Open to Close, and returns the trace.
func (c *Crowd) Run(sessions int) (*Trace, error) {
	c.rng, c.first = rand.New(rand.NewPCG(c.Seed, 0)), -1
	c.rec = NewRecorder(c.pause)
	c.all, c.ids, c.metas, c.kinds = []*Model{{}}, []int{0}, []int{0}, map[string]int{}
	for s := range sessions {
		if err := c.session(uint64(s)); err != nil {
			return nil, fmt.Errorf("session %d: %w", s, err)
		}
	}
	return &Trace{DB: c.Path, Events: c.rec.Events(), States: c.all}, nil
}

func (c *Crowd) session(number uint64) error {
	o := c.Options
	o.Seam = c.seam
	db, err := mmdb.Open(c.Path, 0o600, &o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	c.db = db
	if err := db.View(c.found); err != nil {
		return errors.Join(err, db.Close())
	}
	var wg sync.WaitGroup
	for i := range c.Clients {
		id := number*uint64(c.Clients) + uint64(i)
		cl := &crowdClient{Crowd: c, rng: rand.New(rand.NewPCG(c.Seed, id+1)), src: FromSeed(mix(c.Seed)+id, 1<<30)}
		wg.Go(func() { cl.work() })
	}
	wg.Wait()
	c.largest = max(c.largest, int(db.Stats().LargestGroup))
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	err = db.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.closing = false, false
	switch {
	case c.err != nil:
		return c.err
	case err != nil && !c.broken:
		return fmt.Errorf("close: %w", err)
	case c.broken:
		return nil
	}
	newest := c.metas[len(c.metas)-1]
	if c.ids[c.kept] != c.ids[newest] {
		return mismatch("all functions have ended, %d was promised, and %d was the last", c.kept, newest)
	}
	c.kept, c.acked = newest, newest
	c.mark()
	return nil
}

// found learns which state the database holds when a session begins.
func (c *Crowd) found(tx *mmdb.Tx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first < 0 {
		c.first = tx.ID()
	}
	id := tx.ID() - c.first
	if !slices.Contains(c.metas, id) || id < c.kept {
		return mismatch("the database holds commit %d, possible were %v from %d on", id, c.metas, c.kept)
	}
	c.ids, c.metas, c.acked, c.kept, c.landed = c.ids[:id+1], []int{id}, id, id, id
	c.broken, c.open, c.flushes = false, true, 0
	c.mark()
	return errors.Join(checkClean(tx), compareSum(tx, c.model(id)))
}

// model returns the state that the function with an id left, counted from the first.
func (c *Crowd) model(id int) *Model { return c.all[c.ids[id]] }

// mark notes which states a crash may leave from now on: those that metas were written for, from the newest that was promised.
func (c *Crowd) mark() {
	accept, alive := []int{}, []int{}
	for _, id := range c.metas {
		if id >= c.acked {
			accept = append(accept, c.ids[id])
		}
		if id >= c.kept {
			alive = append(alive, c.ids[id])
		}
	}
	c.rec.Mark(accept, alive)
}

// wrong keeps the first thing that is wrong.
func (c *Crowd) wrong(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// promise takes the promise that what the function with an id left survives the process, or also a power loss.
func (c *Crowd) promise(id int, durable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	durable = durable || !c.Lazy
	if id > c.kept || durable && id > c.acked {
		c.kept = max(c.kept, id)
		if durable {
			c.acked = max(c.acked, id)
		}
		c.mark()
	}
}

// Where a meta has its commit number and its base, in bytes.
const (
	metaCommit = 48
	metaBase   = 56
)

// seam notes for which states metas are written and flushed, records, and pauses.
func (c *Crowd) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	c.mu.Lock()
	meta := c.open && op.Kind == mmapfile.OpWrite && op.Offset < metaEnd && op.Path == c.Path
	if meta {
		c.meta(op.Data[0])
	}
	newest := c.metas[len(c.metas)-1]
	c.mu.Unlock()
	n, err := c.rec.Seam(op, do)
	if errors.Is(err, syscall.EIO) {
		time.Sleep(2 * time.Millisecond) // another flush may end before the database knows
	}
	if err == nil && (op.Kind == mmapfile.OpMsync || meta && c.Lazy) {
		c.mu.Lock()
		c.landed = max(c.landed, newest)
		c.mu.Unlock()
	}
	return n, err
}

// meta notes that a meta is about to be written. Its base is one that the database knows to be durable, which is a promise too; a commit whose
// pages were flushed before has itself as its base. Close may make a commit of its own, with a checkpoint.
func (c *Crowd) meta(b []byte) {
	id := int(binary.LittleEndian.Uint64(b[metaCommit:])) - c.first
	base := int(binary.LittleEndian.Uint64(b[metaBase:])) - c.first
	if newest := c.metas[len(c.metas)-1]; c.closing && id == newest+1 { // it changes nothing
		c.ids = append(c.ids[:id], c.ids[newest])
	}
	c.unseen(id + 1)
	switch {
	case id >= len(c.ids):
		if c.err == nil {
			c.err = mismatch("a meta is written for commit %d, which is no function's", id+c.first)
		}
	case id > c.metas[len(c.metas)-1]:
		c.metas = append(c.metas, id)
		if base < id {
			c.acked = max(c.acked, base)
		}
		c.mark()
	}
}

// unseen makes functions of Compact of those before id that are none of the clients'. They leave what they find.
func (c *Crowd) unseen(id int) {
	for c.compacting > 0 && len(c.ids) < id {
		c.ids = append(c.ids, c.ids[len(c.ids)-1])
	}
}

// pause makes flushes take a while, so that groups form, and one of them fail.
func (c *Crowd) pause(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if op.Kind != mmapfile.OpMsync && (op.Kind != mmapfile.OpSync || op.Path != c.Path) {
		return do(op)
	}
	c.mu.Lock()
	fails := false
	if c.open && (!c.Lazy || op.Kind == mmapfile.OpSync) { // what a flush in the background loses, a durable commit may lack
		c.flushes++
		fails = c.flushes == c.Fail
	}
	c.broken = c.broken || fails
	pause := time.Duration(c.rng.IntN(400)) * time.Microsecond
	c.mu.Unlock()
	time.Sleep(pause)
	if fails {
		return 0, syscall.EIO
	}
	return do(op)
}

// A crowdClient is one goroutine of a Crowd.
type crowdClient struct {
	*Crowd
	runner Runner
	rng    *rand.Rand
	src    *Source
	lazy   bool // the transaction that runs
}

// work makes transactions until the session ends, or writes are refused.
func (c *crowdClient) work() {
	for range c.Each {
		kind := crowdKinds[c.rng.IntN(len(crowdKinds))]
		c.mu.Lock()
		c.kinds[kind]++
		stop := c.err != nil
		c.mu.Unlock()
		switch {
		case stop:
			return
		case kind == "view":
			if err := c.db.View(c.view); err != nil {
				c.wrong(fmt.Errorf("view: %w", err))
			}
		case kind == "sync":
			c.sync()
		case kind == "compact":
			c.compact()
		case !c.write(kind):
			return
		}
	}
}

// sync makes all that was promised durable.
func (c *crowdClient) sync() {
	c.mu.Lock()
	id := c.kept
	c.mu.Unlock()
	err := c.db.Sync()
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	if err == nil {
		c.promise(id, true)
	} else if !broken {
		c.wrong(fmt.Errorf("sync: %w", err))
	}
}

// compact lets functions that change nothing run between those of the clients.
func (c *crowdClient) compact() {
	c.mu.Lock()
	c.compacting++
	c.mu.Unlock()
	_, err := c.db.Compact(context.Background(), mmdb.CompactOptions{})
	c.mu.Lock()
	c.compacting-- // the metas of all its functions are written
	broken := c.broken
	c.mu.Unlock()
	if err != nil && !broken {
		c.wrong(fmt.Errorf("compact: %w", err))
	}
}

// view compares what a reader sees, and makes sure that it may see it.
func (c *crowdClient) view(tx *mmdb.Tx) error {
	id := tx.ID() - c.first
	c.mu.Lock()
	landed, known := c.landed, slices.Contains(c.metas, id)
	var m *Model
	if known {
		m = c.model(id)
	}
	c.mu.Unlock()
	if !known || id > landed {
		return mismatch("a reader sees what function %d left: the newest that it may see is %d", id, landed)
	}
	return compareSum(tx, m)
}

// write makes a write transaction of a kind, and takes what its end promises. It reports whether more can follow.
func (c *crowdClient) write(kind string) bool {
	id := -1
	c.lazy = c.Lazy && c.rng.IntN(6) > 0
	work := func(tx *mmdb.Tx) (err error) {
		if c.Lazy {
			tx.SetDurability(mmdb.Durable)
			if c.lazy {
				tx.SetDurability(mmdb.Lazy)
			}
		}
		id, err = c.function(tx, kind)
		return err
	}
	err := c.run(kind, work)
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	switch {
	case err == nil:
		c.promise(id, !c.lazy && kind != "nothing")
	case broken && (errors.Is(err, mmdb.ErrFailed) || errors.Is(err, syscall.EIO) || errors.Is(err, errGivesUp)):
		return !broken
	case errors.Is(err, errGivesUp):
		c.promise(id-1, false) // what it has read
	default:
		c.wrong(fmt.Errorf("%s: %w", kind, err))
	}
	return true
}

// run makes a write transaction of work. Where work panics or leaves its goroutine, that is its error.
func (c *crowdClient) run(kind string, work func(*mmdb.Tx) error) (err error) {
	switch kind {
	case "begin", "rollback":
		tx, err := c.db.Begin(true)
		if err != nil {
			return err
		}
		if err := work(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	case "exit":
		end := make(chan error, 2)
		go func() {
			defer func() { end <- errGivesUp }()
			end <- c.db.Update(work)
		}()
		return <-end
	}
	defer func() {
		if p := recover(); p == errGivesUp {
			err = errGivesUp
		} else if p != nil {
			panic(p)
		}
	}()
	return c.db.Update(work)
}

// function is what a transaction does. It returns its id, counted from the first.
func (c *crowdClient) function(tx *mmdb.Tx, kind string) (id int, err error) {
	id = tx.ID() - c.first
	m, err := c.before(id)
	if err != nil {
		return id, err
	}
	if kind == "nothing" {
		return id - 1, compareSum(tx, m)
	}
	if kind == "check" { // publishes what ran before, and goes on
		if err := checkClean(tx); err != nil {
			return id, err
		}
	}
	if err := c.runner.body(tx, m, Generate(c.src, CrowdProfile, 1+c.rng.IntN(6))); err != nil {
		return id, err
	}
	size := 20
	if kind == "large" {
		size = 70000 + c.rng.IntN(30000)
	}
	for _, o := range []Op{
		{Kind: OpPut, Path: []string{crowdBucket}, Key: []byte(kind), Size: size, Seed: uint32(id)},
		{Kind: OpPut, Path: []string{crowdBucket}, Key: []byte("newest"), Size: 8, Seed: uint32(id)},
	} {
		if err := c.runner.op(tx, m, o); err != nil {
			return id, err
		}
	}
	switch kind {
	case "error", "rollback":
		return id, errGivesUp
	case "panic":
		panic(errGivesUp)
	case "exit":
		runtime.Goexit()
	}
	c.after(id, m)
	return id, nil
}

// before returns a copy of what the function before the one with an id left.
func (c *Crowd) before(id int) (*Model, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unseen(id)
	if id < 1 || id > len(c.ids) {
		return nil, mismatch("a function has the id %d, after %d functions", id, len(c.ids)-1)
	}
	return c.model(id - 1).Clone(), nil
}

// after takes what the function with an id left, as it succeeds.
func (c *Crowd) after(id int, m *Model) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids[:id], len(c.all))
	c.all = append(c.all, m)
}
