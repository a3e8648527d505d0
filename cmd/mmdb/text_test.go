package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Any bytes come back from their text form, which a terminal can show.
func TestTextFormReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	samples := [][]byte{nil, []byte("plain"), []byte(`\`), []byte("a\nb\r\t\x00\x1b[31m"), []byte("grüße ✓ 日本"),
		[]byte("\u202egnp.exe"), []byte("\u00a0\ufeff\ufffd"), {0xff, 0xfe}, []byte("\xe2\x82")}
	for range 2000 {
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		samples = append(samples, b)
	}
	for _, b := range samples {
		text := textForm(b)
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Fatalf("text form %q of %q is not printable", text, b)
		}
		back, err := parseText(text)
		if err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%q → %s → %q, %v", b, text, back, err)
		}
		path := bucketPath{append([]byte("x"), b...), append([]byte("/"), b...)}
		again, err := parsePath(path.String())
		if err != nil || len(again) != 2 || !bytes.Equal(again[0], path[0]) || !bytes.Equal(again[1], path[1]) {
			t.Fatalf("path %q → %s → %q, %v", path, path, again, err)
		}
	}
}

func TestTextFormLooksRight(t *testing.T) {
	for in, want := range map[string]string{
		"a b": "a b", "a\nb": `a\nb`, "\x00\x7f": `\x00\x7f`, `c:\x`: `c:\\x`, "\u202e": `\xe2\x80\xae`, "ä/b": "ä/b", "\xc3": `\xc3`,
	} {
		if got := textForm([]byte(in)); got != want {
			t.Errorf("text form of %q is %s, want %s", in, got, want)
		}
	}
}

func TestParseTextRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`a\`: "backslash at the end", `\q`: "unknown escape", `\x1`: "two hexadecimal digits", `\xzz`: "two hexadecimal digits",
	} {
		if _, err := parseText(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseText(%q): %v, want %q", in, err, want)
		}
	}
}

func TestParsePath(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "/": nil, "a": {"a"}, "a/b/c": {"a", "b", "c"}, `a\/b/c`: {"a/b", "c"}, `a\\/b`: {`a\`, "b"},
		`\x00/\n`: {"\x00", "\n"}, "ä b/✓": {"ä b", "✓"},
	} {
		got, err := parsePath(in)
		if err != nil || len(got) != len(want) {
			t.Fatalf("parsePath(%q) = %q, %v", in, got, err)
		}
		for i := range want {
			if string(got[i]) != want[i] {
				t.Errorf("parsePath(%q)[%d] = %q, want %q", in, i, got[i], want[i])
			}
		}
	}
	for _, in := range []string{"a//b", "/a", "a/", `a\`, `a/\x0`, `\z`} {
		if got, err := parsePath(in); err == nil {
			t.Errorf("parsePath(%q) = %q, want an error", in, got)
		}
	}
}

func TestFormatsReadBack(t *testing.T) {
	b := []byte("k\x00\xff\\/")
	for _, name := range formatNames() {
		f := format(name)
		back, err := f.decode("the key", f.encode(b))
		if err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: %q, %v", f, back, err)
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	got := visible("a\nb\x1b[2J\\x \xff")
	if want := `a\nb\x1b[2J\x \xff`; got != want {
		t.Errorf("visible: %s, want %s", got, want)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{5: "5 B", 2048: "2.0 KiB", 3 << 20: "3.0 MiB"} {
		if got := shortSize(n); got != want {
			t.Errorf("shortSize(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "ab": "ac", "\xff\xff": ""} {
		if got := string(prefixEnd([]byte(in))); got != want {
			t.Errorf("prefixEnd(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHexDump(t *testing.T) {
	var out bytes.Buffer
	hexDump(&out, append(append([]byte("mmdb\x00\r\n\x1a~\x7f"), make([]byte, 70)...), 'x'))
	want := `00000000  6d 6d 64 62 00 0d 0a 1a  7e 7f 00 00 00 00 00 00  |mmdb....~.......|
00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000050  78                                                |x|
`
	if out.String() != want {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestPictureShowsMostOfEachGroup(t *testing.T) {
	p := newPicture(100, 4) // 48 cells at most: 3 pages a cell
	p.add(0, 12, kindIndex("meta"))
	p.add(12, 2, kindIndex("leaf"))
	p.add(14, 60, kindIndex("free"))
	p.add(74, 26, kindIndex("no such kind"))
	got := strings.Join(p.lines(17), "|")
	if want := "MMMM#............|........?????????"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.perCell != 3 {
		t.Errorf("%d pages a character, want 3", p.perCell)
	}
}
