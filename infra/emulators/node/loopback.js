// Preloaded (node --require) before an emulator: every TCP listener is put on
// 127.0.0.1 and on a free port, for these programs would listen on all addresses
// and can only be told a port number that somebody has found free before. The
// listener that asked for port 1 is the one to talk to: its port is printed.
'use strict';
const net = require('net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  const given = args[0];
  const asked = Number(given !== null && typeof given === 'object' ? given.port : given);
  if (!Number.isInteger(asked)) throw new Error(`cannot put the listener ${JSON.stringify(given)} on loopback`);
  if (asked === 1) {
    this.once('listening', () => process.stdout.write(`hito-listening ${this.address().port}\n`));
  }
  const callback = args.findLast((arg) => typeof arg === 'function');
  return listen.call(this, { port: 0, host: '127.0.0.1' }, callback);
};
