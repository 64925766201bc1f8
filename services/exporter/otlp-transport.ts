import type { PartialSuccess } from '../formats/protobuf-otlp.ts'

/** What an endpoint has made of a request. */
export type OtlpAnswer =
  | ({ readonly is: 'taken' } & PartialSuccess)
  /** It is wrong, and will be: it must not stop those behind it. */
  | { readonly is: 'wrong'; readonly message: string }
  /** Whoever we are, or whatever we send. */
  | { readonly is: 'refused'; readonly message: string }
  /** It may be sent again, after so long if that is said. */
  | { readonly is: 'busy'; readonly message: string; readonly waitMs: number | null }

/** Carries requests to one endpoint. */
export interface OtlpTransport {
  /** For a person. */
  readonly url: string
  /** One attempt; resolves whatever comes of it. */
  post(body: Uint8Array): Promise<OtlpAnswer>
  close(): void
}
