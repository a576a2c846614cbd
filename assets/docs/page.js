SwaggerUIBundle({
  url: '/pub/openapi.json',
  dom_id: '#reference',
  validatorUrl: 'none',
  deepLinking: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  filter: true,
  // A wrong secret is answered with a challenge. A browser that may send credentials of its own would ask for them in a
  // dialog, and the page would not hear of the answer.
  requestInterceptor: (request) => Object.assign(request, { credentials: 'omit' }),
});
