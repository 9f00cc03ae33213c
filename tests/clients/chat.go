// An agent on net/http, Chat Completions.
//
// Usage: chat [-agent N] [-http1]
//
//	chat -many COUNT
//
// With -many it opens that many streams at once on one HTTP/2 connection, and prints how many brought the
// text that they should.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

const base = "https://api.openai.com/v1"

type function struct {
	Name       string          `json:"name"`
	Arguments  string          `json:"arguments,omitempty"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

type call struct {
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	CallID  string `json:"tool_call_id,omitempty"`
	Calls   []call `json:"tool_calls,omitempty"`
}

type request struct {
	Model    string          `json:"model"`
	Messages []message       `json:"messages"`
	Tools    []call          `json:"tools,omitempty"`
	Stream   bool            `json:"stream,omitempty"`
	Options  map[string]bool `json:"stream_options,omitempty"`
}

type chunk struct {
	Choices []struct {
		Message message `json:"message"`
		Delta   message `json:"delta"`
	} `json:"choices"`
	Usage *struct {
		Prompt int `json:"prompt_tokens"`
	} `json:"usage"`
}

const schema = `{"type":"object","properties":{"command":{"type":"string"}},"required":["command"]}`

// gate waits until nobody holds the pipe open for writing any more, where a test asks for it.
func gate() {
	if path := os.Getenv("GATE"); path != "" {
		if _, err := os.ReadFile(path); err != nil {
			log.Fatal(err)
		}
	}
}

func send(client *http.Client, method, path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("content-type", "application/json")
	response, err := client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	return response, err
}

// run runs a tool; the result reads `exit N`, then what it printed.
func run(arguments string) string {
	var input struct{ Command string }
	if err := json.Unmarshal([]byte(arguments), &input); err != nil {
		log.Fatal(err)
	}
	command := exec.Command("sh", "-c", input.Command)
	output, _ := command.CombinedOutput()
	return fmt.Sprintf("exit %d\n%s", command.ProcessState.ExitCode(), output)
}

func converse(client *http.Client, agent int) (string, error) {
	task := "Count the lines of notes.txt, then look for the missing file. You are agent-%d."
	messages := []message{{Role: "user", Content: fmt.Sprintf(task, agent)}}
	tools := []call{{Type: "function", Function: function{Name: "run_command", Parameters: json.RawMessage(schema)}}}
	for {
		response, err := send(client, "POST", "/chat/completions",
			request{Model: "gpt-mock", Messages: messages, Tools: tools})
		if err != nil {
			return "", err
		}
		var answer chunk
		err = json.NewDecoder(response.Body).Decode(&answer)
		// The rest of the body must be read for the connection to be used again.
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return "", err
		}
		said := answer.Choices[0].Message
		messages = append(messages, said)
		if len(said.Calls) == 0 {
			return said.Content, nil
		}
		for _, call := range said.Calls {
			result := message{Role: "tool", CallID: call.ID, Content: run(call.Function.Arguments)}
			messages = append(messages, result)
		}
	}
}

func stream(client *http.Client, number int) error {
	response, err := send(client, "POST", "/chat/completions", request{
		Model:    "gpt-mock",
		Messages: []message{{Role: "user", Content: fmt.Sprintf("You are agent-%d.", number)}},
		Stream:   true,
		Options:  map[string]bool{"include_usage": true},
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, tokens := "", 0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		data := strings.TrimPrefix(lines.Text(), "data: ")
		if !strings.HasPrefix(data, "{") {
			continue
		}
		var part chunk
		if err := json.Unmarshal([]byte(data), &part); err != nil {
			return err
		}
		for _, choice := range part.Choices {
			text += choice.Delta.Content
		}
		if part.Usage != nil {
			tokens = part.Usage.Prompt
		}
	}
	if text != fmt.Sprintf("Hello agent %d.", number) || tokens != 1234+10_000*number || response.ProtoMajor != 2 {
		return fmt.Errorf("%s: %q, %d tokens", response.Proto, text, tokens)
	}
	return lines.Err()
}

func many(client *http.Client, count int) (int, error) {
	// The connection must stand before the others come.
	response, err := send(client, "GET", "/models", nil)
	if err != nil {
		return 0, err
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	outcomes := make(chan error, count)
	var wait sync.WaitGroup
	for number := 0; number < count; number++ {
		wait.Add(1)
		go func(number int) {
			defer wait.Done()
			outcomes <- stream(client, number)
		}(number)
	}
	wait.Wait()
	close(outcomes)
	right := 0
	for err := range outcomes {
		if err == nil {
			right++
		} else if count-right < 4 {
			log.Print(err)
		}
	}
	return right, nil
}

func main() {
	log.SetFlags(0)
	agent := flag.Int("agent", 0, "number of the agent")
	count := flag.Int("many", 0, "streams at once")
	http1 := flag.Bool("http1", false, "no HTTP/2")
	version := flag.Bool("version", false, "say the version of Go")
	flag.Parse()
	if *version {
		fmt.Println(runtime.Version())
		return
	}
	gate()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if *http1 {
		transport.ForceAttemptHTTP2 = false
		// What was cloned offers HTTP/2 already.
		transport.TLSClientConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport}
	if *count > 0 {
		right, err := many(client, *count)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d of %d\n", right, *count)
		return
	}
	text, err := converse(client, *agent)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
