// Measures a stream in Go and sends it to a collector with --ingest-port.
// INGEST=http://127.0.0.1:8089 go run docs/examples/ingest.go
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	sent, last := time.Now(), time.Now()
	gaps := []int64{}
	for _, text := range []string{"It ", "scatters", "."} { // Any loop over the chunks of an answer.
		time.Sleep(20 * time.Millisecond)
		gaps = append(gaps, time.Since(last).Microseconds()) // Monotonic, like all of package time.
		last = time.Now()
		fmt.Print(text)
	}
	record := map[string]any{"request_id": rand.Text(), "model": "llama", "endpoint": "pool-a",
		"provider": "go", "started_at": sent.UnixMicro(), "gaps_us": gaps,
		"end": map[string]any{"status": "ok", "duration_us": time.Since(sent).Microseconds(),
			"ttft_us": gaps[0], "chunks": len(gaps)}}
	body, _ := json.Marshal(record)
	url := os.Getenv("INGEST") + "/v1/token-events"
	answer, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Status)
}
