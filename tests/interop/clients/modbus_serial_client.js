// The limit server through modbus-serial, with many requests at once: node modbus_serial_client.js PORT. Prints one JSON object.
"use strict";
const ModbusRTU = require("modbus-serial");

const FIRST = 40188, WLIM = 40190, ACK_SEQ = 40212, LIM_EFF = 40218, SEQ = 41, AT_ONCE = 40;

const code = async (call) => {
    try {
        await call;
        return 0;
    } catch (error) {
        return error.modbusCode || -1;
    }
};

(async () => {
    const client = new ModbusRTU();
    await client.connectTCP("127.0.0.1", { port: Number(process.argv[2]) });
    client.setID(1);
    client.setTimeout(3000);
    const found = { marker: (await client.readHoldingRegisters(40000, 2)).buffer.toString("latin1") };
    found.half = await code(client.writeRegister(WLIM, 1));
    found.read_only = await code(client.writeRegister(ACK_SEQ, 1));
    client.setID(77);
    found.unknown_unit = await code(client.readHoldingRegisters(40000, 2));
    client.setID(1);

    const block = [1, 1, 0x0006, 0x1a80, 0x0001, 0x86a0, 0, 900, 0, 0, 0, 1, 0, 1, 0, 42, SEQ];
    const reads = Array.from({ length: AT_ONCE }, (_, n) => client.readHoldingRegisters(40000 + n, 1));
    const both = await Promise.allSettled([...reads, client.writeRegisters(FIRST, block), client.readHoldingRegisters(40186, 2)]);
    found.at_once = both.filter((one) => one.status === "fulfilled").length;
    for (let n = 0; n < 200 && found.ack_seq !== SEQ; n++) {
        [found.ack_seq, found.ack_state] = (await client.readHoldingRegisters(ACK_SEQ, 2)).data;
        await new Promise((done) => setTimeout(done, 10));
    }
    found.in_force_w = (await client.readHoldingRegisters(LIM_EFF, 2)).buffer.readUInt32BE(0);
    console.log(JSON.stringify(found));
    client.close(() => process.exit(0));
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
