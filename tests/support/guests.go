// Asks a judge as Flagger and Argo Rollouts do, with the libraries that those are made of: Go's
// HTTP client and JSON, client-go's JSONPath, and the expression language of Argo's conditions.
//
//	guests flagger URL TIMEOUT     the webhook's payload on stdin
//	guests argo                    on stdin a Metric as JSON, its arguments filled in
//
// Prints one JSON object: {"yes", "said"} or {"phase", "value"}. tests/support/guests.py does the
// same in Python, for where these libraries are not; scripts/dev/kubernetes builds this.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/antonmedv/expr"
	"k8s.io/client-go/util/jsonpath"
)

type header struct{ Key, Value string }

type metric struct {
	SuccessCondition, FailureCondition string
	Provider                           struct {
		Web struct {
			URL, Method, JSONPath string
			TimeoutSeconds        int64
			Headers               []header
			JSONBody              json.RawMessage
		}
	}
}

func main() {
	var answer map[string]interface{}
	switch {
	case len(os.Args) == 4 && os.Args[1] == "flagger":
		said, err := webhook(os.Args[2], os.Args[3], os.Stdin)
		answer = map[string]interface{}{"yes": err == nil, "said": said}
		if err != nil {
			answer["said"] = err.Error()
		}
	case len(os.Args) == 2 && os.Args[1] == "argo":
		var asked metric
		if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		phase, value, err := measure(asked)
		answer = map[string]interface{}{"phase": phase, "value": value}
		if err != nil {
			answer = map[string]interface{}{"phase": "Error", "value": err.Error()}
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: guests flagger URL TIMEOUT | guests argo")
		os.Exit(2)
	}
	json.NewEncoder(os.Stdout).Encode(answer)
}

// webhook is a yes for any status up to 202, and an error with the body as its text for others.
func webhook(url, timeout string, payload io.Reader) (string, error) {
	seconds, err := time.ParseDuration(timeout)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), seconds)
	defer cancel()
	body, err := io.ReadAll(payload)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode > 202 {
		err = errors.New(string(said))
	}
	return string(said), err
}

// measure asks once; an error is a measurement in error, whatever its cause.
func measure(asked metric) (string, interface{}, error) {
	web := asked.Provider.Web
	if web.Method == "" {
		web.Method = "GET"
	}
	var body io.Reader
	if web.JSONBody != nil {
		if web.Method == "GET" {
			return "", nil, errors.New("a body needs POST or PUT")
		}
		body = bytes.NewReader(web.JSONBody)
	}
	request, err := http.NewRequest(web.Method, web.URL, body)
	if err != nil {
		return "", nil, err
	}
	for _, one := range web.Headers {
		request.Header.Set(one.Key, one.Value)
	}
	if web.JSONBody != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if web.TimeoutSeconds <= 0 {
		web.TimeoutSeconds = 10
	}
	client := http.Client{Timeout: time.Duration(web.TimeoutSeconds) * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode >= 300 {
		return "", nil, fmt.Errorf("received non 2xx response code: %d", answer.StatusCode)
	}
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", nil, err
	}
	var found interface{}
	if json.Unmarshal(said, &found) != nil {
		return "Successful", string(said), nil
	}
	value, err := at(found, web.JSONPath)
	if err != nil {
		return "", nil, err
	}
	phase, err := assess(value, asked.SuccessCondition, asked.FailureCondition)
	return phase, value, err
}

// at is the first value at a path; none is an error.
func at(found interface{}, path string) (interface{}, error) {
	if path == "" {
		path = "{$}"
	}
	parser := jsonpath.New("metric")
	if err := parser.Parse(path); err != nil {
		return nil, err
	}
	rows, err := parser.FindResults(found)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		for _, value := range row {
			return value.Interface(), nil
		}
	}
	return nil, errors.New("no value")
}

// assess goes by both conditions; with one of them alone, what does not meet it is the other.
func assess(value interface{}, success, failure string) (string, error) {
	succeeds, err := holds(value, success)
	if err != nil {
		return "", err
	}
	fails, err := holds(value, failure)
	if err != nil {
		return "", err
	}
	switch {
	case success == "" && failure == "":
		return "Successful", nil
	case failure == "":
		fails = !succeeds
	case success == "":
		succeeds = !fails
	}
	switch {
	case fails:
		return "Failed", nil
	case succeeds:
		return "Successful", nil
	}
	return "Inconclusive", nil
}

func holds(value interface{}, condition string) (bool, error) {
	if condition == "" {
		return false, nil
	}
	names := map[string]interface{}{"result": value}
	program, err := expr.Compile(condition, expr.Env(names))
	if err != nil {
		return false, err
	}
	found, err := expr.Run(program, names)
	if err != nil {
		return false, err
	}
	held, is := found.(bool)
	if !is {
		return false, fmt.Errorf("expected bool, but got %T", found)
	}
	return held, nil
}
