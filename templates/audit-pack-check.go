package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() { // check VKEY PROOF ENTRY
	verifier := must(note.NewVerifier(os.Args[1]))
	head, checkpoint, _ := strings.Cut(string(must(os.ReadFile(os.Args[2]))), "\n\n")
	entry := must(os.ReadFile(os.Args[3]))

	opened := must(note.Open([]byte(checkpoint), note.VerifierList(verifier)))
	lines := strings.Split(opened.Text, "\n")
	var index, size int64
	must(fmt.Sscan(lines[1], &size))
	root := must(tlog.ParseHash(lines[2]))

	var proof tlog.RecordProof
	for _, line := range strings.Split(head, "\n")[1:] {
		switch {
		case strings.HasPrefix(line, "extra "):
		case strings.HasPrefix(line, "index "):
			must(fmt.Sscan(line[6:], &index))
		default:
			proof = append(proof, must(tlog.ParseHash(line)))
		}
	}
	err := tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(entry))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("entry %d of %d is in the log %s\n", index, size, lines[0])
}
