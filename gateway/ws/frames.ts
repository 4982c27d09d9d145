// Items of a subscription go to many sockets as the same text. It is put into bytes once, and each socket gets one
// buffer with frame, envelope and text, which is one write; clients that choose the same id even share the buffer.
// @see RFC 6455, section 5.2 (server to client: one final text frame, no mask)

const FINAL_TEXT = 0x81;
const CLOSING_BRACE = Buffer.from('}');

function header(length: number): Buffer {
  if (length < 126) return Buffer.from([FINAL_TEXT, length]);
  if (length < 65_536) {
    const bytes = Buffer.from([FINAL_TEXT, 126, 0, 0]);
    bytes.writeUInt16BE(length, 2);
    return bytes;
  }
  const bytes = Buffer.from([FINAL_TEXT, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUIntBE(length, 4, 6);
  return bytes;
}

/** What stands before the payload in every `next` message of an operation. */
export function nextPrefix(id: string): Buffer {
  return Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
}

/** Makes complete WebSocket frames of `next` messages. One for all sockets of a server. */
export interface NextFrames {
  /**
   * @param prefix of `nextPrefix`, the same buffer for every item of an operation
   * @param text the payload as JSON text
   */
  frame(id: string, prefix: Buffer, text: string): Buffer;
}

export function createNextFrames(): NextFrames {
  let lastText: string | null = null;
  let payload = Buffer.alloc(0);
  let lastId: string | null = null;
  let lastFrame = Buffer.alloc(0);
  return {
    frame(id, prefix, text) {
      // Members of a group come one after the other with the very same string, so comparing it costs nothing.
      if (text !== lastText) {
        lastText = text;
        payload = Buffer.from(text);
        lastId = null;
      }
      if (id === lastId) return lastFrame;
      const length = prefix.length + payload.length + CLOSING_BRACE.length;
      lastId = id;
      lastFrame = Buffer.concat([header(length), prefix, payload, CLOSING_BRACE]);
      return lastFrame;
    },
  };
}
