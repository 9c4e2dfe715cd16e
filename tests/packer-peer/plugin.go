package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const cookie = "PACKER_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"

// process is a plugin as Packer starts it.
type process struct {
	command *exec.Cmd
	stdout  *bufio.Reader
	address string

	mutex  sync.Mutex
	stderr []string
	done   sync.WaitGroup
}

func startPlugin(job *Job) (*process, error) {
	if len(job.Plugin) == 0 {
		return nil, errors.New("the job names no plugin")
	}
	args := append([]string{}, job.Plugin[1:]...)
	if job.Protobuf {
		// Packer puts the flag in front of the component's name.
		at := len(args) - 1
		args = append(args[:at:at], append([]string{"--protobuf"}, args[at:]...)...)
	}
	p := &process{command: exec.Command(job.Plugin[0], args...)}
	p.command.Env = os.Environ()
	if !job.NoCookie {
		p.command.Env = append(p.command.Env, cookie,
			"PACKER_PLUGIN_MIN_PORT=10000", "PACKER_PLUGIN_MAX_PORT=25000", "PACKER_LOG=", "PACKER_LOG_PATH=")
	}
	for name, value := range job.Env {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		scanner := bufio.NewScanner(stderr)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			p.mutex.Lock()
			p.stderr = append(p.stderr, scanner.Text())
			p.mutex.Unlock()
		}
	}()
	return p, nil
}

// handshake reads the line of three fields (Packer 1.6) or four (1.7 and later).
func (p *process) handshake() (string, error) {
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return line, fmt.Errorf("no handshake: %w", err)
	}
	line = strings.TrimSpace(line)
	fields := strings.Split(line, "|")
	network := ""
	switch {
	case len(fields) == 3 && fields[0] == "5":
		network, p.address = fields[1], fields[2]
	case len(fields) == 4 && fields[0] == "5" && fields[1] == "0":
		network, p.address = fields[2], fields[3]
	}
	if network != "unix" {
		return line, fmt.Errorf("unknown handshake %q", line)
	}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		io.Copy(io.Discard, p.stdout)
	}()
	return line, nil
}

func (p *process) connect() (net.Conn, error) {
	return net.Dial("unix", p.address)
}

func (p *process) socketExists() bool {
	_, err := os.Stat(p.address)
	return err == nil
}

func (p *process) interrupt() {
	p.command.Process.Signal(syscall.SIGINT)
	p.command.Process.Signal(syscall.SIGTERM)
}

func (p *process) lines() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.stderr
}

// end waits for the plugin, which has lost its connection by now; -2 means that it had to be killed.
func (p *process) end() int {
	killed := false
	timer := time.AfterFunc(20*time.Second, func() {
		killed = true
		p.command.Process.Kill()
	})
	p.done.Wait()
	p.command.Wait()
	timer.Stop()
	if killed {
		return -2
	}
	return p.command.ProcessState.ExitCode()
}
