/* The limit server through libmodbus: libmodbus_client PORT. Prints one JSON object. */
#include <errno.h>
#include <modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST 40188
#define WLIM 40190
#define CTL_HB 40200
#define ACK_SEQ 40212
#define W_LIM_EFF 40218
#define SEQ 21

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

/* The exception that a call was answered with; 0 where it was not refused. */
static int code(int result)
{
    return result >= 0 ? 0 : errno - MODBUS_ENOBASE;
}

int main(int argc, char **argv)
{
    uint16_t words[125], block[17] = {1, 1, 0x0006, 0x1A80, 0x0001, 0x86A0, 0, 900, 0, 0, 0, 1, 0, 1, 0, 42, SEQ};
    int ack_seq = -1, ack_state = -1, half, read_only, unknown_unit, i;
    if (argc != 2) return 2;
    modbus_t *link = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (link == NULL || modbus_set_slave(link, 1) == -1 || modbus_connect(link) == -1) fail("connect");
    if (modbus_read_registers(link, 40000, 2, words) != 2) fail("read");
    printf("{\"marker\": \"%c%c%c%c\"", words[0] >> 8, words[0] & 0xFF, words[1] >> 8, words[1] & 0xFF);
    half = code(modbus_write_register(link, WLIM, 1));
    read_only = code(modbus_write_register(link, ACK_SEQ, 1));
    modbus_set_slave(link, 77);
    unknown_unit = code(modbus_read_registers(link, 40000, 2, words));
    modbus_set_slave(link, 1);
    printf(", \"half\": %d, \"read_only\": %d, \"unknown_unit\": %d", half, read_only, unknown_unit);
    if (modbus_write_register(link, FIRST, 1) != 1) fail("function 6");
    if (modbus_write_registers(link, FIRST, 17, block) != 17) fail("function 16");
    for (i = 0; i < 200 && ack_seq != SEQ; i++) {
        if (modbus_read_registers(link, ACK_SEQ, 2, words) != 2) fail("read AckSeq");
        ack_seq = words[0];
        ack_state = words[1];
        usleep(10000);
    }
    block[0] = 0;
    block[1] = 2;
    if (modbus_write_and_read_registers(link, CTL_HB, 2, block, W_LIM_EFF, 2, words) != 2) fail("function 23");
    printf(", \"ack_seq\": %d, \"ack_state\": %d, \"in_force_w\": %u}\n", ack_seq, ack_state, (unsigned)words[0] << 16 | words[1]);
    modbus_close(link);
    modbus_free(link);
    return 0;
}
