package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Refuse makes operations fail; an empty text refuses nothing.
type Refuse struct {
	// Start refuses commands that contain this text.
	Start string `json:"start"`
	// Upload refuses paths that contain this text, without reading a byte.
	Upload string `json:"upload"`
	// UploadHalf refuses paths that contain this text after 100,000 bytes.
	UploadHalf string `json:"upload_half"`
	// Download refuses paths that contain this text.
	Download string `json:"download"`
}

// Operation is what the plugin asked for.
type Operation struct {
	Kind   string `json:"kind"`
	Target string `json:"target"`
	Size   int64  `json:"size"`
	Mode   uint32 `json:"mode"`
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
}

// guest is this machine, as a communicator.
type guest struct {
	refuse Refuse
	mutex  sync.Mutex
	seen   []Operation
}

func refused(pattern, subject string) bool {
	return pattern != "" && strings.Contains(subject, pattern)
}

func (g *guest) note(operation Operation, err error) error {
	if err != nil {
		operation.Error = err.Error()
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.seen = append(g.seen, operation)
	return err
}

func (g *guest) operations() []Operation {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return append([]Operation{}, g.seen...)
}

// Start runs the command in a shell and returns while it runs.
func (g *guest) Start(_ context.Context, remote *packersdk.RemoteCmd) error {
	operation := Operation{Kind: "start", Target: remote.Command}
	if refused(g.refuse.Start, remote.Command) {
		return g.note(operation, errors.New("start refused"))
	}
	command := exec.Command("/bin/sh", "-c", remote.Command)
	command.Stdout, command.Stderr = remote.Stdout, remote.Stderr
	var stdin io.WriteCloser
	if remote.Stdin != nil {
		var err error
		if stdin, err = command.StdinPipe(); err != nil {
			return g.note(operation, err)
		}
	}
	if err := command.Start(); err != nil {
		return g.note(operation, err)
	}
	if stdin != nil {
		// Not waited for: a command may end without reading what it is given, as over ssh.
		go func() {
			io.Copy(stdin, remote.Stdin)
			stdin.Close()
		}()
	}
	go func() {
		err := command.Wait()
		operation.Status = command.ProcessState.ExitCode()
		if operation.Status < 0 {
			operation.Status = 137
		}
		g.note(operation, err)
		remote.SetExited(operation.Status)
	}()
	return nil
}

// Upload writes the file with the mode of info, or 0644.
func (g *guest) Upload(path string, source io.Reader, info *os.FileInfo) error {
	operation := Operation{Kind: "upload", Target: path, Mode: 0o644}
	if info != nil {
		operation.Mode = uint32((*info).Mode().Perm())
	}
	if refused(g.refuse.Upload, path) {
		return g.note(operation, errors.New("upload refused"))
	}
	if refused(g.refuse.UploadHalf, path) {
		operation.Size, _ = io.CopyN(io.Discard, source, 100_000)
		return g.note(operation, errors.New("no space left on device"))
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, os.FileMode(operation.Mode))
	if err != nil {
		return g.note(operation, err)
	}
	operation.Size, err = io.Copy(file, source)
	if err == nil {
		err = file.Chmod(os.FileMode(operation.Mode))
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && info != nil && (*info).Size() != operation.Size {
		err = errors.New("the announced size is not the size")
	}
	return g.note(operation, err)
}

// Download reads the file.
func (g *guest) Download(path string, sink io.Writer) error {
	operation := Operation{Kind: "download", Target: path}
	if refused(g.refuse.Download, path) {
		return g.note(operation, errors.New("download refused"))
	}
	file, err := os.Open(path)
	if err != nil {
		return g.note(operation, err)
	}
	defer file.Close()
	operation.Size, err = io.Copy(sink, file)
	return g.note(operation, err)
}

func (g *guest) UploadDir(dst, _ string, _ []string) error {
	return g.note(Operation{Kind: "upload_dir", Target: dst}, errors.New("not offered"))
}

func (g *guest) DownloadDir(src, _ string, _ []string) error {
	return g.note(Operation{Kind: "download_dir", Target: src}, errors.New("not offered"))
}
