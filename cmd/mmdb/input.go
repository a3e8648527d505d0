package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// typed returns what is read from the stream. If that is a terminal, it says what a person should type, and an
// interrupt ends the reading.
func (a *app) typed(stream io.Reader, what string) io.Reader {
	if !isTerminal(stream) {
		return stream
	}
	a.warnf("type %s, end with Ctrl-D on a line of its own", what)
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, stream)
		w.CloseWithError(err)
	}()
	context.AfterFunc(a.ctx, func() { w.CloseWithError(errInterrupted) })
	return r
}

// openInput opens a file to read and returns its size, -1 when it has none.
func openInput(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
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
