package authclient

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxIntegerDigits = 18 // keeps every accepted integer inside an int64
	maxDepth         = 32 // levels of lists and objects; the outermost object is the first
)

var errJSON = errors.New("not one JSON object in strict form")

// fraction stands for any number with a fraction or an exponent. No claim may be one, so its value is not kept.
type fraction struct{}

// readObject reads one JSON object (RFC 8259) and refuses whatever two readers could understand differently: repeated
// names, bad UTF-8, a byte-order mark, huge integers, more than maxDepth levels, anything after the object.
//
// encoding/json is not used: it lets the last of two equal names win, matches names in any letter case, and puts U+FFFD
// in place of bad UTF-8 and of half surrogate pairs, after which nobody can tell that they were there.
//
// Values are map[string]any, []any, string, int64, fraction, bool or nil. A text with half a surrogate pair comes out as
// a string that utf8.ValidString refuses; two such texts are equal only if they were.
func readObject(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errJSON
	}
	r := jsonReader{rest: text}
	value, ok := r.value()
	object, isObject := value.(map[string]any)
	if r.space(); !ok || !isObject || len(r.rest) > 0 {
		return nil, errJSON
	}
	return object, nil
}

// jsonReader recurses once per level.
type jsonReader struct {
	rest  []byte
	depth int
}

func (r *jsonReader) value() (any, bool) {
	r.space()
	switch c := r.peek(); {
	case c == '{':
		return r.object()
	case c == '[':
		return r.array()
	case c == '"':
		return r.text()
	case c == '-' || isDigit(c):
		return r.number()
	case r.skip("true"):
		return true, true
	case r.skip("false"):
		return false, true
	case r.skip("null"):
		return nil, true
	}
	return nil, false
}

func (r *jsonReader) object() (any, bool) {
	object := map[string]any{}
	ok := r.list('{', '}', func() bool {
		r.space()
		name, ok := r.text()
		if _, repeated := object[name]; !ok || repeated {
			return false
		}
		if r.space(); !r.skip(":") {
			return false
		}
		object[name], ok = r.value()
		return ok
	})
	return object, ok
}

func (r *jsonReader) array() (any, bool) {
	array := []any{}
	ok := r.list('[', ']', func() bool {
		item, ok := r.value()
		array = append(array, item)
		return ok
	})
	return array, ok
}

// list reads items with commas between them, from the opening to the closing bracket.
func (r *jsonReader) list(opening, closing byte, item func() bool) bool {
	r.depth++
	defer func() { r.depth-- }()
	if r.skip(string(opening)); r.depth > maxDepth {
		return false
	}
	if r.space(); r.skip(string(closing)) {
		return true
	}
	for item() {
		r.space()
		if r.skip(string(closing)) {
			return true
		}
		if !r.skip(",") {
			return false
		}
	}
	return false
}

func (r *jsonReader) text() (string, bool) {
	if !r.skip(`"`) {
		return "", false
	}
	var text []byte
	for len(r.rest) > 0 {
		c := r.rest[0]
		r.rest = r.rest[1:]
		switch {
		case c == '"':
			return string(text), true
		case c < 0x20:
			return "", false
		case c != '\\':
			text = append(text, c)
		default:
			var ok bool
			if text, ok = r.escape(text); !ok {
				return "", false
			}
		}
	}
	return "", false
}

// escape appends what the escape after a backslash stands for.
func (r *jsonReader) escape(text []byte) ([]byte, bool) {
	for i, letter := range []byte(`"\/bfnrt`) {
		if r.skip(string(letter)) {
			return append(text, "\"\\/\b\f\n\r\t"[i]), true
		}
	}
	unit, ok := r.codeUnit()
	if !ok {
		return nil, false
	}
	if !utf16.IsSurrogate(unit) {
		return utf8.AppendRune(text, unit), true
	}
	before := r.rest
	if low, ok := r.skipEscapedUnit(); ok {
		if pair := utf16.DecodeRune(unit, low); pair != utf8.RuneError {
			return utf8.AppendRune(text, pair), true
		}
	}
	r.rest = before
	// Half a pair, in the three bytes that UTF-8 would have for it and does not allow.
	return append(text, 0xE0|byte(unit>>12), 0x80|byte(unit>>6&0x3F), 0x80|byte(unit&0x3F)), true
}

func (r *jsonReader) skipEscapedUnit() (rune, bool) {
	if !r.skip(`\`) {
		return 0, false
	}
	return r.codeUnit()
}

// codeUnit reads `u` and four hexadecimal digits.
func (r *jsonReader) codeUnit() (rune, bool) {
	if !r.skip("u") || len(r.rest) < 4 {
		return 0, false
	}
	var unit rune
	for _, c := range r.rest[:4] {
		switch {
		case isDigit(c):
			unit = unit<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	r.rest = r.rest[4:]
	return unit, true
}

func (r *jsonReader) number() (any, bool) {
	negative := r.skip("-")
	integer := r.digits()
	if integer == "" || integer[0] == '0' && len(integer) > 1 {
		return nil, false
	}
	isFraction := r.skip(".")
	if isFraction && r.digits() == "" {
		return nil, false
	}
	if r.skip("e") || r.skip("E") {
		isFraction = true
		_ = r.skip("+") || r.skip("-")
		if r.digits() == "" {
			return nil, false
		}
	}
	if isFraction {
		return fraction{}, true
	}
	if len(integer) > maxIntegerDigits {
		return nil, false
	}
	value, err := strconv.ParseInt(integer, 10, 64)
	if negative {
		value = -value
	}
	return value, err == nil
}

func (r *jsonReader) digits() string {
	n := 0
	for n < len(r.rest) && isDigit(r.rest[n]) {
		n++
	}
	digits := string(r.rest[:n])
	r.rest = r.rest[n:]
	return digits
}

func (r *jsonReader) space() {
	for c := r.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = r.peek() {
		r.rest = r.rest[1:]
	}
}

// peek returns the next byte, or 0, which begins nothing in JSON, at the end.
func (r *jsonReader) peek() byte {
	if len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

func (r *jsonReader) skip(expected string) bool {
	if len(r.rest) < len(expected) || string(r.rest[:len(expected)]) != expected {
		return false
	}
	r.rest = r.rest[len(expected):]
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
