import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { AnswerError } from './transport.ts';

/** Is told what clients are not. */
export type OnMasked = (error: unknown) => void;

const MASKED = 'Something went wrong on our side.';

/**
 * An error of a resolver as clients may see it. Only errors that were thrown as GraphQLError were written for clients;
 * the text of any other may hold a host, a statement or a secret.
 */
export function maskError(error: GraphQLError, onMasked: OnMasked): AnswerError {
  const path = error.path === undefined ? {} : { path: error.path };
  const { originalError } = error;
  if (originalError === undefined || originalError === null || originalError instanceof GraphQLError) {
    return { message: error.message, ...path, extensions: error.extensions };
  }
  onMasked(originalError);
  return { message: MASKED, ...path, extensions: { code: 'INTERNAL_SERVER_ERROR' } };
}

/** The same, in the form that Apollo Server asks for. */
export function formatMasked(
  formatted: GraphQLFormattedError,
  error: unknown,
  onMasked: OnMasked,
): GraphQLFormattedError {
  if (!(error instanceof GraphQLError)) {
    onMasked(error);
    return { message: MASKED, extensions: { code: 'INTERNAL_SERVER_ERROR' } };
  }
  const { message, extensions } = maskError(error, onMasked);
  return { ...formatted, message, extensions: { ...extensions } };
}
