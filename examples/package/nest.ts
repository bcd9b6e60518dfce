// Nest with jobs, which run at least once, also those that are added while Redis is away.
import 'reflect-metadata'
import { Controller, Get, Inject, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { openSamovar, type Samovar } from 'samovar'

const samovar = openSamovar({ redis: process.env.REDIS_URL })
samovar.queue.work('greet', async ({ id }) => console.log(`hello, ${id}`))

@Controller()
class Greetings {
  constructor(@Inject('samovar') private readonly samovar: Samovar) {}

  @Get()
  async greet() {
    const added = await this.samovar.queue.add('greet', null, { id: `visitor-${Date.now()}` })
    return { added, redis: this.samovar.status().status }
  }
}

@Module({ controllers: [Greetings], providers: [{ provide: 'samovar', useValue: samovar }] })
class App {}

const app = await NestFactory.create(App, { logger: ['error'] })
await app.listen(process.env.PORT ?? 3000)
process.once('SIGTERM', () => app.close().then(() => samovar.close()))
