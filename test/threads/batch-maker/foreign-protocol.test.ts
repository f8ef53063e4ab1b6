import { expect, test } from 'vitest'
import { foreignProtocol } from '../../../src/threads/batch-maker/foreign-protocol.js'

const lengthOf = (text: string): number => Buffer.from(text, 'latin1').readUInt32BE(0)

test.each([
  ['GET / HTTP/1.1', 'http-request'],
  ['HEAD /metrics HTTP/1.1', 'http-request'],
  ['POST /', 'http-request'],
  ['PUT /x', 'http-request'],
  ['PATCH /', 'http-request'],
  ['DELETE /', 'http-request'],
  ['OPTIONS *', 'http-request'],
  ['CONNECT a:443', 'http-request'],
  ['TRACE /', 'http-request'],
  ['PRI * HTTP/2.0', 'http-request'],
  ['\x16\x03\x01\x02\x00', 'tls-handshake'],
  ['\x16\x03\x03\x00\xff', 'tls-handshake'],
  ['SSH-2.0-OpenSSH', 'foreign-protocol'],
  ['\x13/multistream/1.0.0\n', 'foreign-protocol'],
  ['PROXY TCP4 1.2.3.4', 'foreign-protocol'],
  ['\r\n\r\n\0\r\nQUIT\n', 'foreign-protocol'],
])('%j is %s', (text, reason) => {
  expect(foreignProtocol(lengthOf(text))?.reason).toBe(reason)
})

test.each([0, 1, 512, 8 * 1024 * 1024, 0x47455421, 0x16040000, 0xffffffff])('a length of %i is none', (length) => {
  expect(foreignProtocol(length)).toBeUndefined()
})
