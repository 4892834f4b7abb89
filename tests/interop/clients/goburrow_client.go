// The limit server through goburrow/modbus: goburrow_client PORT. Prints one JSON object.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/goburrow/modbus"
)

const (
	first   = 40188
	wlim    = 40190
	ctlHb   = 40200
	ackSeq  = 40212
	limEff  = 40218
	command = 31
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what, err)
		os.Exit(1)
	}
}

// code is the exception that a call was answered with; 0 where it was not refused.
func code(err error) int {
	if refused, ok := err.(*modbus.ModbusError); ok {
		return int(refused.ExceptionCode)
	}
	return 0
}

func main() {
	handler := modbus.NewTCPClientHandler("127.0.0.1:" + os.Args[1])
	handler.Timeout = 3 * time.Second
	handler.SlaveId = 1
	must("connect", handler.Connect())
	defer handler.Close()
	client := modbus.NewClient(handler)
	found := map[string]interface{}{}

	marker, err := client.ReadHoldingRegisters(40000, 2)
	must("read", err)
	found["marker"] = string(marker)
	_, err = client.WriteSingleRegister(wlim, 1)
	found["half"] = code(err)
	_, err = client.WriteSingleRegister(ackSeq, 1)
	found["read_only"] = code(err)
	handler.SlaveId = 77
	_, err = client.ReadHoldingRegisters(40000, 2)
	found["unknown_unit"] = code(err)
	handler.SlaveId = 1

	_, err = client.WriteSingleRegister(first, 1)
	must("function 6", err)
	words := []uint16{1, 1, 0x0006, 0x1A80, 0x0001, 0x86A0, 0, 900, 0, 0, 0, 1, 0, 1, 0, 42, command}
	block := make([]byte, 2*len(words))
	for i, word := range words {
		binary.BigEndian.PutUint16(block[2*i:], word)
	}
	_, err = client.WriteMultipleRegisters(first, uint16(len(words)), block)
	must("function 16", err)
	for i := 0; i < 200; i++ {
		answer, err := client.ReadHoldingRegisters(ackSeq, 2)
		must("read AckSeq", err)
		found["ack_seq"] = binary.BigEndian.Uint16(answer)
		found["ack_state"] = binary.BigEndian.Uint16(answer[2:])
		if binary.BigEndian.Uint16(answer) == command {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	answer, err := client.ReadWriteMultipleRegisters(limEff, 2, ctlHb, 2, []byte{0, 0, 0, 2})
	must("function 23", err)
	found["in_force_w"] = binary.BigEndian.Uint32(answer)
	must("print", json.NewEncoder(os.Stdout).Encode(found))
}
