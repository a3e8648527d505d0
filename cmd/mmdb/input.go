package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// typed returns what is read from the stream. If that is a terminal, it says what a person should type.
func (a *app) typed(stream io.Reader, what string) io.Reader {
	if isTerminal(stream) {
		a.warnf("type %s, end with Ctrl-D on a line of its own", what)
	}
	return a.awaited(stream)
}

// awaited returns what is read from the stream. An interrupt ends the reading, if that has to wait for a person or another program.
func (a *app) awaited(stream io.Reader) io.Reader {
	if f, ok := stream.(*os.File); !ok || isRegular(f) {
		return stream
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, stream)
		w.CloseWithError(err)
	}()
	context.AfterFunc(a.ctx, func() { w.CloseWithError(errInterrupted) })
	return r
}

// openAwaited opens a file that is there, to read or to write. That of a pipe waits for who is at its other end, or for an interrupt.
func (a *app) openAwaited(path string, flag int) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	opened := make(chan result, 1)
	go func() {
		f, err := os.OpenFile(path, flag, 0)
		opened <- result{f, err}
	}()
	select {
	case r := <-opened:
		return r.f, r.err
	case <-a.ctx.Done():
		return nil, errInterrupted
	}
}

// openInput opens a file to read and returns its size, -1 when it has none.
func (a *app) openInput(path string) (*os.File, int64, error) {
	f, err := a.openAwaited(path, os.O_RDONLY)
	if err != nil {
		return nil, 0, fileError(path, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		f.Close()
		return nil, 0, fileError(path, err)
	case info.IsDir():
		f.Close()
		return nil, 0, fmt.Errorf("%s: is a directory", path)
	case !info.Mode().IsRegular():
		return f, -1, nil
	}
	return f, info.Size(), nil
}

// countingReader moves a progress bar by what is read.
type countingReader struct {
	r   io.Reader
	bar *progress
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.bar.add(int64(n))
	return n, err
}
