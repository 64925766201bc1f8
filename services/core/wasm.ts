/** What lib.dom.d.ts says, as far as it is used here. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: object }
}

/** A constant of a module: mostly an address in its memory. */
export interface WasmConstant {
  readonly value: number
}

/** The exports of a new instance of a compiled module (*.wasm.ts), its memory among them. */
export function instantiate<Exports>(code: string): Exports & { memory: { buffer: ArrayBuffer } } {
  const module = new WebAssembly.Module(Buffer.from(code, 'base64'))
  return new WebAssembly.Instance(module).exports as never
}
