import type { Manager, ManagerOptions, Socket, SocketOptions } from "socket.io-client";

export = MinaStream;

/** A stream of numbered chunks over a socket: none lost, none handled twice, in order. */
declare class MinaStream<Ack = any> {
  /** Like `io(uri, options)`, with a socket that moves to another server without a gap. */
  static connect(
    io: (uri: any, options?: any) => Socket,
    uri?: string,
    options?: Partial<ManagerOptions & SocketOptions>,
  ): MinaStream.MovingSocket;

  constructor(socket: MinaStream.MovingSocket | Socket, options: MinaStream.Options);

  /** The release that this page is of, by `<meta name="mina-release">`; "" where it names none. */
  static readonly release: string;

  /** Like `fetch`; a request to this site names the page's release, so that it answers. */
  static fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;

  /** An address of this site for a form or link that shall meet the page's release. */
  static ofRelease(address: string): string;

  /** Calls the handler once for each release that a reload would lead to instead. */
  static onReleaseChanged(handler: (said: MinaStream.ReleaseChanged) => void): void;

  /** The socket that chunks go over. */
  readonly socket: MinaStream.MovingSocket;
  /** The stream's id. */
  readonly stream: string;
  /** Chunks given to `send` so far. */
  readonly sent: number;
  /** Chunks that the server has acknowledged. */
  readonly acknowledged: number;
  /** Chunks that are not acknowledged yet. */
  readonly waiting: number;
  /** Whether sending stands still while the session changes servers. */
  readonly paused: boolean;

  /** Queues a chunk; resolves with the server's acknowledgement, rejects if it never will be. */
  send(payload: object): Promise<Ack>;
  /** Resolves when the server has answered every chunk so far. */
  flushed(): Promise<void>;
  /** Leaves the socket alone from now on; what waits is not sent. */
  close(): void;
}

declare namespace MinaStream {
  interface ReleaseChanged {
    /** The release that a reload leads to. */
    release: string;
    /** The release that the page is of. */
    page: string;
  }

  interface Options {
    /** Name of the event that carries a chunk. */
    event: string;
    /** The stream's id; default: a new one. */
    stream?: string;
    /** Chunks under way at a time; default 8. */
    window?: number;
    /** Milliseconds until chunks are sent again; default 2000, doubles each time. */
    ackTimeout?: number;
    /** Chunks that may wait; `send` rejects beyond; default 100000. */
    limit?: number;
    /** Called whenever the stream's counts change. */
    onChange?(stream: MinaStream): void;
    /** Of a stock socket: makes its successor. */
    open?(manager: Manager | null): Socket;
    /** Of a stock socket: carries the page's handlers over to its successor. */
    onMove?(next: Socket, previous: Socket): void;
  }

  /** What `connect` handlers of a `MovingSocket` get. */
  interface Connected {
    /** Whether the page was connected all the time. */
    moved: boolean;
    /** Whether the server brought back rooms, session and missed events. */
    recovered: boolean;
  }

  /** A stock socket's public face, which stays the same while the socket behind it changes. */
  class MovingSocket {
    readonly inner: Socket;
    readonly id: string | undefined;
    readonly connected: boolean;
    readonly disconnected: boolean;
    readonly active: boolean;
    readonly recovered: boolean;
    readonly moves: number;
    readonly io: Manager;
    readonly nsp: string;
    readonly volatile: Socket;
    auth: Socket["auth"];
    connect(): this;
    disconnect(): this;
    send(...args: any[]): this;
    emit(event: string, ...args: any[]): this;
    emitWithAck(event: string, ...args: any[]): Promise<any>;
    timeout(milliseconds: number): Socket;
    compress(value: boolean): this;
    on(event: "connect", handler: (how: Connected) => void): this;
    on(event: string, handler: (...args: any[]) => void): this;
    once(event: string, handler: (...args: any[]) => void): this;
    off(event?: string, handler?: (...args: any[]) => void): this;
    listeners(event: string): ((...args: any[]) => void)[];
    hasListeners(event: string): boolean;
    onAny(handler: (event: string, ...args: any[]) => void): this;
    prependAny(handler: (event: string, ...args: any[]) => void): this;
    offAny(handler?: (event: string, ...args: any[]) => void): this;
    listenersAny(): ((event: string, ...args: any[]) => void)[];
  }
}
