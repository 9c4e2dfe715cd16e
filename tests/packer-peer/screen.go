package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Line is one call of the plugin to Packer's output.
type Line struct {
	Kind string   `json:"kind"`
	Text string   `json:"text"`
	Args []string `json:"args,omitempty"`
}

// screen collects the output and acts when a text comes up.
type screen struct {
	trigger string
	action  func()
	once    sync.Once
	mutex   sync.Mutex
	seen    []Line
}

func newScreen(trigger string, action func()) *screen {
	return &screen{trigger: trigger, action: action}
}

func (s *screen) lines() []Line {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]Line{}, s.seen...)
}

func (s *screen) add(line Line) {
	s.mutex.Lock()
	s.seen = append(s.seen, line)
	s.mutex.Unlock()
	if s.trigger != "" && strings.Contains(line.Text, s.trigger) {
		s.once.Do(s.action)
	}
}

func (s *screen) Say(text string)                { s.add(Line{Kind: "say", Text: text}) }
func (s *screen) Sayf(format string, a ...any)   { s.Say(fmt.Sprintf(format, a...)) }
func (s *screen) Message(text string)            { s.add(Line{Kind: "message", Text: text}) }
func (s *screen) Error(text string)              { s.add(Line{Kind: "error", Text: text}) }
func (s *screen) Errorf(format string, a ...any) { s.Error(fmt.Sprintf(format, a...)) }
func (s *screen) Machine(category string, args ...string) {
	s.add(Line{Kind: "machine", Text: category, Args: args})
}

func (s *screen) Ask(string) (string, error)          { return "", errors.New("no available tty") }
func (s *screen) Askf(string, ...any) (string, error) { return s.Ask("") }

func (s *screen) TrackProgress(_ string, _, _ int64, stream io.ReadCloser) io.ReadCloser {
	return stream
}
