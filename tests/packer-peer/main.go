// Command packer-peer is the other end of a Packer plugin: it starts a provisioner plugin as
// Packer does, talks to it through the client half of packer-plugin-sdk, and lets it work on this
// machine through a communicator that runs /bin/sh and copies files. A job is read as JSON from
// stdin, the result is written as JSON to stdout.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/rpc"
)

// Job says what to do, in this order: ConfigSpec, Prepare, Provision (Runs times).
type Job struct {
	// Plugin is the command line, without --protobuf.
	Plugin   []string          `json:"plugin"`
	Env      map[string]string `json:"env"`
	Protobuf bool              `json:"protobuf"`
	// NoCookie starts the plugin as a person would.
	NoCookie bool `json:"no_cookie"`
	// Configs go to Prepare; an object {"$cty": X} is sent as the bytes of X, as HCL2 is.
	Configs []json.RawMessage `json:"configs"`
	// Data is the GeneratedData of Provision.
	Data map[string]any `json:"data"`
	// Runs is how often Provision is called; 0 stops after Prepare.
	Runs int `json:"runs"`
	// CancelOnSay cancels the first run when a line of output contains this text.
	CancelOnSay string `json:"cancel_on_say"`
	Refuse      Refuse `json:"refuse"`
	// LeaveOnSay closes the connection in the middle of a run, as a dying Packer does.
	LeaveOnSay string `json:"leave_on_say"`
	// InterruptOnSay sends SIGINT and SIGTERM to the plugin, as a terminal does to all of Packer.
	InterruptOnSay string `json:"interrupt_on_say"`
}

// Attribute is one argument of the decoded ConfigSpec.
type Attribute struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
}

// Result is what was seen.
type Result struct {
	Handshake  string      `json:"handshake"`
	Spec       []Attribute `json:"spec"`
	Prepare    *string     `json:"prepare_error"`
	Provision  []*string   `json:"provision_errors"`
	Output     []Line      `json:"output"`
	Operations []Operation `json:"operations"`
	Stderr     []string    `json:"stderr"`
	ExitCode   int         `json:"exit_code"`
	// SocketLeft says that the socket's path still existed after the connection was made.
	SocketLeft bool    `json:"socket_left"`
	Seconds    float64 `json:"seconds"`
	// Fault is a failure of the peer itself or of the transport.
	Fault string `json:"fault,omitempty"`
}

func main() {
	log.SetOutput(io.Discard)
	if os.Getenv("PACKER_PEER_LOG") != "" {
		log.SetOutput(os.Stderr)
	}
	var job Job
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		fmt.Fprintln(os.Stderr, "read the job:", err)
		os.Exit(2)
	}
	begin := time.Now()
	result := &Result{ExitCode: -1}
	if err := run(&job, result); err != nil {
		result.Fault = err.Error()
	}
	result.Seconds = time.Since(begin).Seconds()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		os.Exit(2)
	}
}

func run(job *Job, result *Result) error {
	plugin, err := startPlugin(job)
	if err != nil {
		return err
	}
	defer func() {
		result.ExitCode = plugin.end()
		result.Stderr = plugin.lines()
	}()
	result.Handshake, err = plugin.handshake()
	if err != nil {
		return err
	}
	connection, err := plugin.connect()
	if err != nil {
		return err
	}
	client, err := rpc.NewClient(connection)
	if err != nil {
		return fmt.Errorf("dial stream 0: %w", err)
	}
	defer client.Close()
	client.UseProto = job.Protobuf
	result.SocketLeft = plugin.socketExists()
	provisioner := client.Provisioner()
	result.Spec = describe(provisioner.ConfigSpec())

	configs, err := job.configs()
	if err != nil {
		return err
	}
	if err := provisioner.Prepare(configs...); err != nil {
		result.Prepare = text(err)
		return nil
	}
	guest := &guest{refuse: job.Refuse}
	defer func() { result.Operations = guest.operations() }()
	for i := 0; i < job.Runs; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		trigger, action := job.CancelOnSay, func() { cancel() }
		if i > 0 {
			trigger = ""
		}
		if job.LeaveOnSay != "" {
			trigger, action = job.LeaveOnSay, func() { connection.Close() }
		}
		if job.InterruptOnSay != "" {
			trigger, action = job.InterruptOnSay, plugin.interrupt
		}
		ui := newScreen(trigger, action)
		err := provisioner.Provision(ctx, ui, guest, job.Data)
		cancel()
		result.Provision = append(result.Provision, text(err))
		result.Output = append(result.Output, ui.lines()...)
	}
	return nil
}

func (job *Job) configs() ([]any, error) {
	var configs []any
	for _, raw := range job.Configs {
		var wrapped struct {
			Cty json.RawMessage `json:"$cty"`
		}
		if json.Unmarshal(raw, &wrapped) == nil && wrapped.Cty != nil {
			configs = append(configs, []byte(wrapped.Cty))
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, err
		}
		configs = append(configs, value)
	}
	return configs, nil
}

func describe(spec hcldec.ObjectSpec) []Attribute {
	var out []Attribute
	for name, entry := range spec {
		attribute, ok := entry.(*hcldec.AttrSpec)
		if !ok || attribute.Name != name {
			out = append(out, Attribute{Name: name, Type: fmt.Sprintf("not an attribute: %T", entry)})
			continue
		}
		out = append(out, Attribute{name, attribute.Type.GoString(), attribute.Required})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func text(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	return &text
}

var _ packersdk.Communicator = (*guest)(nil)
